import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export const SMTP_USER = "sojourn";
export const SMTP_PASSWORD = "smtp-secret-0123456789";

/** One mail, as the server took it. */
export interface TakenMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body, as sent. */
  readonly raw: string;
  readonly secure: boolean;
  readonly user: string | undefined;
}

/** A real mail server that refuses what it is told to. */
export interface FakeSmtp extends AsyncDisposable {
  readonly port: number;
  readonly mails: readonly TakenMail[];
  /** Connections that have been opened, and that are open now. */
  readonly opened: number;
  readonly connections: number;
  /** What is answered to a recipient instead of 250. */
  readonly recipients: Map<string, { readonly code: number; readonly text: string }>;
  /** The next answers at this point, one each: a reply, silence, or a mail that is taken and the connection broken before the answer. */
  failNext(at: "connect" | "mail" | "data", ...failures: (SmtpReply | "silence" | "lost")[]): void;
}

export interface SmtpReply {
  readonly code: number;
  readonly text: string;
}

export interface SmtpSetup {
  readonly key?: Buffer;
  readonly cert?: Buffer;
  /** TLS from the start. */
  readonly implicit?: boolean;
  /** Knows no STARTTLS. */
  readonly plain?: boolean;
  /** Takes mail only from `SMTP_USER`; without it, it knows no AUTH. */
  readonly auth?: boolean;
}

/** Listens on a free port of 127.0.0.1. */
export async function fakeSmtp({ auth = false, cert, implicit = false, key, plain = false }: SmtpSetup = {}): Promise<FakeSmtp> {
  const mails: TakenMail[] = [];
  const recipients = new Map<string, SmtpReply>();
  const failures = { connect: [] as (SmtpReply | "silence" | "lost")[], mail: [] as (SmtpReply | "silence" | "lost")[], data: [] as (SmtpReply | "silence" | "lost")[] };
  let opened = 0;

  const refusal = ({ code, text }: SmtpReply): Error => Object.assign(new Error(text), { responseCode: code });
  /** True when the step goes on. */
  function step(at: "connect" | "mail", done: (error?: Error) => void): void {
    const failure = failures[at].shift();
    if (failure === undefined) done();
    else if (typeof failure === "object") done(refusal(failure));
  }

  const options: SMTPServerOptions = {
    secure: implicit,
    ...(key === undefined || cert === undefined ? {} : { key, cert }),
    disabledCommands: [...(plain ? ["STARTTLS"] : []), ...(auth ? [] : ["AUTH"])],
    allowInsecureAuth: plain,
    logger: false,
    closeTimeout: 10,
    onConnect(_, done) {
      opened++;
      step("connect", done);
    },
    onAuth({ username, password }, _, done) {
      if (username === SMTP_USER && password === SMTP_PASSWORD) return done(null, { user: username });
      // As careless as some are: what was sent is in the answer.
      return done(refusal({ code: 535, text: `no such user ${username} with ${password} ${Buffer.from(password ?? "").toString("base64")}` }));
    },
    onMailFrom: (_, __, done) => step("mail", done),
    onRcptTo({ address }, _, done) {
      const reply = recipients.get(address);
      done(reply === undefined ? undefined : refusal(reply));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
        const failure = failures.data.shift();
        if (typeof failure === "object") return done(refusal(failure));
        const { envelope, secure, user } = session;
        const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
        mails.push({ from, to: envelope.rcptTo.map(({ address }) => address), raw: Buffer.concat(chunks).toString("utf8"), secure, user });
        if (failure === undefined) done();
        if (failure === "lost") for (const connection of server.connections) connection._socket.destroy();
      });
    },
  };
  const server = new SMTPServer(options);
  // Clients break connections, that is what is tested.
  server.on("error", () => {});
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    recipients,
    get opened() {
      return opened;
    },
    get connections() {
      return server.connections.size;
    },
    failNext: (at, ...more) => void failures[at].push(...more),
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** A header of the mail, unfolded; it must not be there twice. */
export function headerOf({ raw }: TakenMail, name: string): string | undefined {
  const lines = raw.slice(0, raw.indexOf("\r\n\r\n")).replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const found = lines.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}: `));
  assert.ok(found.length <= 1, `${name} is there ${found.length} times`);
  return found[0]?.slice(name.length + 2);
}
