import type { Notification } from "../src/sdk/alert.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import { tlsSchema } from "../src/sdk/tls.ts";
import { idsOf, mailOf, type Mail } from "./email/message.ts";
import { sendMail, type Envelope, type OutgoingMail, type SmtpOptions } from "./email/smtp.ts";

const PORTS = { starttls: 587, implicit: 465, none: 25 } as const;
/** Mails of which some recipients must be asked for again. */
const DEFERRED_MAX = 1_000;
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/;

const address = { type: "string", minLength: 3, maxLength: 320, pattern: "^[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f]@[^\\x00-\\x20\\x7f]+$" } as const;

/**
 * Tells of alerts by mail (SMTP), one mail for each notification, as text and HTML. Mails of one incident are one
 * conversation.
 *
 * A mail that was taken for some recipients only counts as delivered to them: those refused for good are reported, those
 * put off are asked for again alone, so that nobody gets it twice. A mail whose answer got lost may come twice, under the
 * same Message-ID, by which many mail systems recognise it.
 * https://www.rfc-editor.org/rfc/rfc5321
 */
export const email = defineExporter({
  type: "email",
  summary: "Tells of alerts by mail (SMTP).",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["host", "from", "to"],
    properties: {
      host: { type: "string", minLength: 1, maxLength: 253, pattern: "^[^\\x00-\\x20\\x7f/]+$", description: "Name or address of the mail server." },
      port: { type: "integer", minimum: 1, maximum: 65_535, description: "Its port. Default: 587 with starttls, 465 with implicit, 25 with none." },
      encryption: {
        type: "string", enum: ["starttls", "implicit", "none"], default: "starttls",
        description: "starttls: the connection turns to TLS or fails. implicit: TLS from the start (SMTPS). none: in the clear.",
      },
      username: { type: "string", minLength: 1, description: "Who logs in; needs `password`. Default: nobody." },
      password: { type: "string", writeOnly: true, minLength: 1, description: "Password of that user; a secret. Needs `username`." },
      from: { ...address, description: "Sender: an address, or a name with the address in angle brackets." },
      to: { type: "array", minItems: 1, maxItems: 100, items: { ...address, description: "One recipient." }, description: "Recipients." },
      subject_prefix: { type: "string", maxLength: 100, pattern: "^[^\\x00-\\x1f\\x7f]*$", default: "", description: "Text before every subject, such as [prod]." },
      alerts_max: { type: "integer", minimum: 1, maximum: 100, default: 20, description: "Alerts spelled out in one mail; the others are counted." },
      tls: tlsSchema,
      ...notificationOptions,
    },
    dependentRequired: { username: ["password"], password: ["username"] },
    examples: [{
      host: "smtp.example.org", username: "sojourn", password: "${env:SMTP_PASSWORD}", from: "Sojourn <sojourn@example.org>", to: ["ops@example.org"],
    }],
  },
  create(config, context) {
    const { alerts_max, encryption, from, host, password, subject_prefix, tls, to, username } = config;
    if (encryption === "none" && username !== undefined && !LOOPBACK.test(host)) {
      throw new ConfigError("/encryption", "none would send the password in the clear; allowed with a password: starttls, implicit");
    }
    const smtp: SmtpOptions = { host, port: config.port ?? PORTS[encryption], encryption, username, password, tls: tls ?? {} };
    const agent = Object.entries(context.externalLabels).map(([name, value]) => `${name}=${value}`).join(", ");
    const stopping = new AbortController();
    const sending = new Set<Promise<unknown>>();
    /** By notification: whom its next attempt is for. Lost with the process: then all get it again, under the same Message-ID. */
    const deferred = new Map<string, Envelope>();

    const contentOf = (notification: Notification): Mail =>
      mailOf(notification, { subjectPrefix: subject_prefix, alertsMax: alerts_max, now: context.clock.now(), agent });

    function outgoing(notification: Notification): OutgoingMail {
      const now = context.clock.now();
      const urgent = notification.status === "firing" && notification.alerts.some(({ labels }) => labels["severity"] === "critical");
      return {
        from, to,
        envelope: deferred.get(notification.id),
        ...contentOf(notification),
        ...idsOf(notification, from, now),
        // No holiday answers, please: https://www.rfc-editor.org/rfc/rfc3834#section-5
        headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", ...(urgent ? { Importance: "high", "X-Priority": "1" } : {}) },
        date: new Date(now),
      };
    }

    async function deliver(notification: Notification, signal: AbortSignal): Promise<undefined> {
      const sent = await sendMail(smtp, outgoing(notification), AbortSignal.any([signal, stopping.signal]));
      for (const error of sent.refused) context.report(error);
      deferred.delete(notification.id);
      if (sent.deferred === undefined) return undefined;
      if (deferred.size >= DEFERRED_MAX) deferred.delete(deferred.keys().next().value!);
      deferred.set(notification.id, sent.deferred);
      throw new Error(`${host}:${smtp.port} put off ${sent.deferred.to.length} of ${to.length} recipients`);
    }

    return {
      limits: { messagesPerMinute: 30, burst: 10 },
      async notify(notification, signal) {
        const work = deliver(notification, signal);
        sending.add(work);
        try {
          return await work;
        } finally {
          sending.delete(work);
        }
      },
      render: (notification) => ({ from, to, ...contentOf(notification) }),
      async stop() {
        stopping.abort(new Error("stopping"));
        await Promise.allSettled(sending);
      },
    };
  },
});
