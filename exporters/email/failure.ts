import { printable } from "../../src/sdk/alert_text.ts";
import { PermanentError } from "../../src/sdk/errors.ts";

const SAID_MAX = 300;

/** What nodemailer adds to its errors. */
interface SmtpError {
  readonly code?: string;
  readonly command?: string;
  readonly response?: string;
  readonly responseCode?: number;
}

/** Who was asked, and what must not be repeated. */
export interface MailServer {
  /** `host:port` */
  readonly name: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/**
 * What to throw for a mail that was not taken: 5xx is for good, anything else (4xx, no connection, no trust in the
 * certificate) may be another next time. https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1
 * The error has no cause: nodemailer's repeats what was said in both directions.
 */
export function mailFailure(error: unknown, server: MailServer): Error {
  const { code, command, responseCode } = error as SmtpError;
  const message = messageFor(error, server);
  // Who does not offer TLS may be somebody between us and the server, and gone tomorrow.
  const permanent = code !== "ETLS" && responseCode !== undefined && responseCode >= 500 && responseCode < 600;
  // Addresses that nodemailer itself does not take: no server was asked.
  return permanent || (code === "EENVELOPE" && command === "API") ? new PermanentError(message) : new Error(message);
}

function messageFor(error: unknown, server: MailServer): string {
  const { code, command, response, responseCode } = error as SmtpError;
  if (code === "EAUTH") {
    // Some servers repeat what they were sent.
    return `${server.name} refused the login of ${printable(server.username ?? "")}${responseCode === undefined ? "" : ` (${responseCode})`}`;
  }
  if (responseCode === undefined) return `${server.name}: ${said((error as Error).message, server)}`;
  return `${server.name} answered ${said(response ?? String(responseCode), server)}${command === undefined ? "" : ` to ${command}`}`;
}

/** The other side's words, without the password in any shape that SMTP gives it. */
function said(text: string, { password, username }: MailServer): string {
  let clean = text;
  if (password !== undefined && password !== "") {
    const shapes = [password, base64(password), base64(`\u0000${username ?? ""}\u0000${password}`)];
    for (const shape of shapes) clean = clean.replaceAll(shape, "REDACTED");
  }
  return printable(clean.trim()).slice(0, SAID_MAX).toWellFormed();
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** Whether a refused recipient may be taken later. */
export function isDeferred(error: unknown): boolean {
  const { responseCode } = error as SmtpError;
  return responseCode === undefined || responseCode < 500;
}
