import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { defineExporter } from "../src/sdk/component.ts";
import type { HttpAnswer, HttpRequest } from "../src/sdk/listeners.ts";
import { expose, type Exposition } from "./prometheus/exposition.ts";

const compress = promisify(gzip);
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A scrape's answer, and its compressed form once somebody asked for that. */
interface Page extends Exposition {
  zipped: Promise<Buffer> | undefined;
}

/**
 * Shows all metrics to Prometheus. `external_labels` are not in them: whoever scrapes adds its own.
 *
 * However many scrape at once, one page is made at a time and shared by all who asked before it was begun; so each sees
 * values of the time of its request, or later. A page that cannot be made is 500, never an empty 200, which would
 * look like every series having ended.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export const prometheus = defineExporter({
  type: "prometheus",
  summary: "Shows all metrics on a page that Prometheus scrapes.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      listen: {
        type: "string",
        format: "address",
        default: "127.0.0.1:9464",
        description: "Address of the page. Off loopback (0.0.0.0:9464) is allowed: the page has no secret and changes nothing.",
      },
      path: { type: "string", pattern: "^/[^?#*\\s]*$", default: "/metrics", description: "Path of the page." },
    },
    examples: [{}, { listen: "0.0.0.0:9464" }],
  },
  create(config, context) {
    const producer = context.producer as MetricProducer;
    let render: (() => Promise<Exposition>) | undefined;
    let running: Promise<Page> | undefined;
    let waiting: Promise<Page> | undefined;
    let broken = false;

    async function make(): Promise<Page> {
      try {
        const exposition = await render!();
        for (const error of exposition.errors) context.report(error);
        if (broken && exposition.errors.length === 0) context.healed();
        broken = exposition.errors.length > 0;
        return { ...exposition, zipped: undefined };
      } catch (error) {
        broken = true;
        context.report(error);
        throw error;
      } finally {
        running = undefined;
      }
    }

    function page(): Promise<Page> {
      if (running === undefined) return (running = make());
      return (waiting ??= running.catch(() => {}).then(() => {
        waiting = undefined;
        return page();
      }));
    }

    async function answer(request: HttpRequest): Promise<HttpAnswer> {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return { status: 405, headers: { allow: "GET, HEAD" }, body: "Only GET and HEAD are allowed here.\n" };
      }
      try {
        const made = await page();
        const headers = { "content-type": CONTENT_TYPE, vary: "accept-encoding" };
        if (!acceptsGzip(request.headers["accept-encoding"])) return { status: 200, headers, body: made.text };
        // Fast rather than small: label names repeat so much that the best level saves little more.
        made.zipped ??= compress(made.text, { level: constants.Z_BEST_SPEED });
        return { status: 200, headers: { ...headers, "content-encoding": "gzip" }, body: await made.zipped };
      } catch {
        return { status: 500, body: "The metrics cannot be read; the agent's log says why.\n" };
      }
    }

    // The listener belongs to the agent and outlives us: a reload never closes the port.
    const route = context.listeners.route(config.listen, config.path, context.id, answer);
    return {
      async start() {
        const { PrometheusSerializer } = await import("@opentelemetry/exporter-prometheus");
        const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
        render = () => expose(producer, serializer);
        await route.open();
      },
      stop: () => route.close(),
    };
  },
});

/** Whether `gzip` (or `*`) is among the codings and not refused with `q=0`. RFC 9110 §12.5.3. */
function acceptsGzip(header = ""): boolean {
  const weights = new Map<string, number>();
  for (const item of header.toLowerCase().split(",")) {
    const [coding = "", ...parameters] = item.split(";").map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    weights.set(coding, q === undefined ? 1 : Number(q.slice(2)));
  }
  return (weights.get("gzip") ?? weights.get("*") ?? 0) > 0;
}
