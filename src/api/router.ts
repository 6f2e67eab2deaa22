import { HttpError, type HttpAnswer, type HttpHandler, type HttpRequest } from "../sdk/listeners.ts";
import { problem } from "./answers.ts";
import { shown } from "./query.ts";

export interface Endpoint {
  /** GET answers HEAD too. */
  readonly method: "GET" | "POST";
  /** Segments in braces stand for any one that is not empty. */
  readonly path: string;
  /** `params`: what stood for the braces, percent-decoded, in order. */
  answer(request: HttpRequest, ...params: readonly string[]): HttpAnswer | Promise<HttpAnswer>;
}

/**
 * Finds the endpoint of a request and makes problem+json of every `HttpError`. Anything else that is thrown is the
 * listener's to log.
 */
export function router(endpoints: readonly Endpoint[], check: (request: HttpRequest) => void): HttpHandler {
  const routes = endpoints.map((endpoint) => ({ endpoint, pattern: endpoint.path.split("/") }));

  async function answer(request: HttpRequest): Promise<HttpAnswer> {
    check(request);
    const segments = request.path.split("/");
    const here = routes.filter(({ pattern }) => matches(pattern, segments));
    if (here.length === 0) throw new HttpError(404, `there is nothing at ${shown(request.path)}; / lists what there is`);
    const method = request.method === "HEAD" ? "GET" : request.method;
    const found = here.find(({ endpoint }) => endpoint.method === method);
    if (found === undefined) {
      const allow = here.map(({ endpoint }) => (endpoint.method === "GET" ? "GET, HEAD" : endpoint.method)).join(", ");
      throw new HttpError(405, `${shown(request.method)} is not allowed here; ${allow} is`, { allow });
    }
    return found.endpoint.answer(request, ...segments.filter((_, i) => found.pattern[i]!.startsWith("{")).map(decoded));
  }

  return async (request) => {
    try {
      return await answer(request);
    } catch (error) {
      if (error instanceof HttpError) return problem(error.status, error.message, {}, error.headers);
      throw error;
    }
  };
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, i) => (part.startsWith("{") ? segments[i] !== "" : part === segments[i]));
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new HttpError(400, `${shown(segment)} in the path is no percent-encoded UTF-8`);
  }
}
