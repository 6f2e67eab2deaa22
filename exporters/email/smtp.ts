import type { SMTPTransportOptions } from "nodemailer/lib/smtp-transport";
import { tlsOptions, type TlsConfig } from "../../src/sdk/tls.ts";
import { isDeferred, mailFailure, type MailServer } from "./failure.ts";

const CONNECT_MS_MAX = 10_000;
const SILENCE_MS_MAX = 30_000;
// Our side is closed then; whoever does not close his is left.
const CLOSE_MS_MAX = 500;

export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  readonly encryption: "starttls" | "implicit" | "none";
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: TlsConfig;
}

/** One mail. */
export interface OutgoingMail {
  readonly from: string;
  /** As the header shows them. */
  readonly to: readonly string[];
  /** Whom it is for now; undefined: all of them. */
  readonly envelope: Envelope | undefined;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly messageId: string;
  /** Id of the conversation. */
  readonly thread: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly date: Date;
}

export interface Envelope {
  readonly from: string;
  readonly to: string[];
}

/** What became of a mail that the server took for at least one recipient. */
export interface Sent {
  /** Whoever must be asked for again: refused for now. */
  readonly deferred: Envelope | undefined;
  /** Why some will never get it. */
  readonly refused: readonly Error[];
}

/**
 * Sends one mail on a connection of its own, which is closed when this settles: nothing stays open between mails.
 * Rejects as `mailFailure` says when nobody gets it; with the signal's reason as cause when that aborts.
 */
export async function sendMail(options: SmtpOptions, mail: OutgoingMail, signal: AbortSignal): Promise<Sent> {
  const server: MailServer = { name: `${options.host}:${options.port}`, username: options.username, password: options.password };
  const [{ createTransport }, tls] = await Promise.all([import("nodemailer"), tlsOptions(options.tls)]);
  const transport = createTransport(transportOptions(options, tls));
  try {
    const { envelope, headers, thread, to, ...content } = mail;
    const info = await transport.sendMail({
      ...content,
      to: [...to],
      headers: { ...headers },
      inReplyTo: thread,
      references: thread,
      ...(envelope === undefined ? {} : { envelope: { ...envelope } }),
      signal,
      // What a mail holds comes from outside: it shall not make nodemailer read files or URLs.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const errors = (info.rejectedErrors ?? []) as (Error & { readonly recipient?: string })[];
    const deferred = errors.filter(isDeferred).flatMap(({ recipient }) => recipient ?? []);
    return {
      deferred: deferred.length === 0 ? undefined : { from: info.envelope.from || "", to: deferred },
      refused: errors.filter((error) => !isDeferred(error)).map((error) => mailFailure(error, server)),
    };
  } catch (error) {
    if (signal.aborted) throw new Error(`mail by ${server.name}`, { cause: signal.reason });
    throw mailFailure(error, server);
  } finally {
    transport.close();
  }
}

function transportOptions({ host, port, encryption, username, password }: SmtpOptions, tls: object): SMTPTransportOptions {
  return {
    host,
    port,
    secure: encryption === "implicit",
    // Never without when it was asked for: somebody between could have removed the offer.
    requireTLS: encryption === "starttls",
    ignoreTLS: encryption === "none",
    tls,
    ...(username === undefined ? {} : { auth: { user: username, pass: password ?? "" }, forceAuth: true }),
    connectionTimeout: CONNECT_MS_MAX,
    greetingTimeout: CONNECT_MS_MAX,
    dnsTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    socketCloseTimeout: CLOSE_MS_MAX,
    logger: false,
  };
}
