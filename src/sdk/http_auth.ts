import { ConfigError } from "./errors.ts";
import { basicAuthorization } from "./http_message.ts";
import { secretIn } from "./secret_file.ts";

const HEADER_TEXT = /^[\x20-\x7e]+$/;

/** Keys of `auth` for whatever asks by HTTP. `files` says when files are read. */
export const authSchema = (files: string) => ({
  type: "object", additionalProperties: false,
  description: `How to authenticate. ${files}`,
  properties: {
    basic: {
      type: "object", additionalProperties: false, required: ["username"], description: "HTTP basic authentication.",
      properties: {
        username: { type: "string", description: "User name." },
        password: { type: "string", writeOnly: true, description: "Password." },
        password_file: { type: "string", minLength: 1, description: "File that holds the password." },
      },
    },
    bearer: {
      type: "object", additionalProperties: false, description: "A bearer token.",
      properties: {
        token: { type: "string", writeOnly: true, minLength: 1, description: "Token." },
        token_file: { type: "string", minLength: 1, description: "File that holds the token." },
      },
    },
  },
}) as const;

/** `auth` as configured. */
export interface AuthConfig {
  readonly basic?: {
    readonly username: string;
    readonly password?: string | undefined;
    readonly password_file?: string | undefined;
  } | undefined;
  readonly bearer?: { readonly token?: string | undefined; readonly token_file?: string | undefined } | undefined;
}

/** Throws `ConfigError` where `auth` says too much or too little. */
export function checkAuth(auth: AuthConfig): void {
  const { basic, bearer } = auth;
  if ((basic === undefined) === (bearer === undefined)) throw new ConfigError("/auth", "give either basic or bearer");
  if (basic !== undefined && (basic.password === undefined) === (basic.password_file === undefined)) {
    throw new ConfigError("/auth/basic", "give either password or password_file");
  }
  if (bearer !== undefined && (bearer.token === undefined) === (bearer.token_file === undefined)) {
    throw new ConfigError("/auth/bearer", "give either token or token_file");
  }
  if (bearer?.token !== undefined && !HEADER_TEXT.test(bearer.token.trim())) {
    throw new ConfigError("/auth/bearer/token", "must be printable ASCII on one line; no header holds anything else");
  }
  // https://www.rfc-editor.org/rfc/rfc7617#section-2
  if (basic?.username.includes(":") === true) throw new ConfigError("/auth/basic/username", "must not hold a colon: it ends the user name");
}

/** The `authorization` header of one request. Rejects with the path, never the content, of a file that is no secret. */
export async function authorization({ basic, bearer }: AuthConfig): Promise<string> {
  if (basic !== undefined) return basicAuthorization(basic.username, basic.password ?? await secretIn(basic.password_file!));
  return `Bearer ${bearer!.token?.trim() ?? await secretIn(bearer!.token_file!)}`;
}
