import type { Alerts } from "../alerts/alerts.ts";
import { Deliveries } from "../alerts/dispatch/deliveries.ts";
import { Dispatcher } from "../alerts/dispatch/dispatcher.ts";
import { letterOf } from "../alerts/dispatch/messages.ts";
import { Outbox } from "../alerts/dispatch/outbox.ts";
import { Silences } from "../alerts/dispatch/silences.ts";
import type { Problem, ServiceConfig } from "../config/model.ts";
import { redactText } from "../config/redact.ts";
import type { Resources } from "../resources/resources.ts";
import type { Alert, AlertStory } from "../sdk/alert.ts";
import { deadline, type Clock } from "../sdk/clock.ts";
import { messageOf } from "../sdk/errors.ts";
import { withSignal } from "../sdk/signal.ts";
import { suggestion } from "../sdk/suggest.ts";
import type { Committer } from "./committer.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Instance } from "./instance.ts";
import type { Instruments } from "./instruments.ts";
import { problemAt } from "./problems.ts";
import type { Reporter } from "./reporter.ts";

/** Alerts of a notification whose story is told, and their transitions. */
const STORIES_MAX = 20;
const TRANSITIONS_MAX = 10;
/** What cannot be looked up by then is left out. */
const STORY_TIMEOUT_MS = 2_000;

export interface NotificationParts {
  readonly clock: Clock;
  readonly instruments: Instruments;
  readonly settings: () => ServiceConfig;
  readonly deadLetters: DeadLetters;
  readonly resources: Resources;
  /** What follows is made later than this. */
  readonly alerts: () => Alerts;
  readonly committer: () => Committer;
  readonly reporterOf: (exporter: string) => Reporter;
  readonly onUnattended: (exporter: string) => void;
}

/** All that stands between an alert and those who are told of it. */
export interface Notifications {
  readonly outbox: Outbox;
  readonly dispatcher: Dispatcher;
  readonly silences: Silences;
  readonly deliveries: Deliveries;
  /** Takes `service` of another configuration; before its rules are judged. */
  configure(service: ServiceConfig): void;
}

/** Wires it with metrics, logs, dead letters and the record of deliveries. */
export function createNotifications(parts: NotificationParts): Notifications {
  const { clock, instruments, settings, deadLetters, reporterOf, onUnattended } = parts;
  const soon = (): void => parts.committer().changed(true);
  const committed = (): Promise<void> => parts.committer().committed(true);
  const externalLabels = (): ServiceConfig["external_labels"] => settings().external_labels;
  const shown = (error: unknown): string => redactText(messageOf(error));

  const silences = new Silences({ clock, changed: soon });
  const deliveries = new Deliveries({ clock, max: () => settings().deliveries_max, changed: () => parts.committer().changed(false) });
  const outbox = new Outbox({
    clock,
    changed: soon,
    committed,
    enrich: (alerts) => withStories(alerts, parts),
    isOpen: (exporter, key) => dispatcher.isOpen(exporter, key),
    onUnattended,
    onRoom: (exporter) => dispatcher.room(exporter),
    onSent(exporter, message, attempt) {
      instruments.notificationsSent(exporter).add(1);
      deliveries.add(exporter, message, attempt, "delivered");
    },
    onFailed(exporter, message, attempt, error, again) {
      instruments.notificationsFailed(exporter).add(1);
      reporterOf(exporter).report(again ? error : new Error(`a notification was given up (sojourn redeliver lists it): ${messageOf(error)}`));
      deliveries.add(exporter, message, attempt, again ? "failed" : "dead_letter", shown(error));
    },
    onHealed: (exporter) => reporterOf(exporter).healed(),
    deadLetter(exporter, message, reason) {
      instruments.deadLetters(exporter).add(1);
      deadLetters.add(exporter, reason, letterOf(message));
      soon();
    },
  });
  const dispatcher: Dispatcher = new Dispatcher({
    clock, outbox, silences, externalLabels, committed,
    changed: soon,
    deadLetters,
    alerts: () => parts.alerts().list(),
    firingFor: (exporter) => parts.alerts().firingFor(exporter),
    onSuppressed: (exporter, reason) => instruments.notificationsSuppressed(exporter, reason).add(1),
    onCoalesced: (exporter, count) => instruments.notificationsCoalesced(exporter).add(count),
    onRefreshed(exporter, error) {
      if (error === undefined) return reporterOf(exporter).healed();
      instruments.notificationsFailed(exporter).add(1);
      reporterOf(exporter).report(error);
    },
    onDefect: (exporter, error) => reporterOf(exporter).report(error),
    onTest(exporter, message, error) {
      if (error === undefined) instruments.notificationsSent(exporter).add(1);
      else instruments.notificationsFailed(exporter).add(1);
      deliveries.add(exporter, message, 1, error === undefined ? "delivered" : "dead_letter", error === undefined ? undefined : shown(error));
    },
  });
  return {
    outbox, dispatcher, silences, deliveries,
    configure(service) {
      silences.configure(service.silences.map(({ id, matchers, starts_at: startsAt, ends_at: endsAt, created_by: createdBy, comment }) => (
        { id, matchers, startsAt: startsAt === undefined ? undefined : Date.parse(startsAt), endsAt: Date.parse(endsAt), createdBy, comment }
      )));
      dispatcher.configure(service);
    },
  };
}

/** Exporters that name times which `service.time_intervals` does not have. */
export function unknownTimes(instances: Iterable<Instance>, { time_intervals: known }: Pick<ServiceConfig, "time_intervals">): Problem[] {
  const names = Object.keys(known);
  return [...instances].filter(({ config }) => config.kind === "exporter").flatMap(({ config }) =>
    ["mute_time_intervals", "active_time_intervals"].flatMap((key) => {
      const given = (config.config[key] ?? []) as readonly string[];
      const wrong = (name: string): string =>
        names.length === 0 ? `${name} is not defined: service.time_intervals has none` : `${name} is not defined in service.time_intervals; ${suggestion(name, names)}`;
      return given.flatMap((name, i) => (names.includes(name) ? [] : [problemAt(config, `/${key}/${i}`, wrong(name))]));
    }));
}

/** The first alerts with their story; whatever cannot be looked up is left out. */
async function withStories(alerts: readonly Alert[], parts: NotificationParts): Promise<readonly Alert[]> {
  const limit = deadline(parts.clock, STORY_TIMEOUT_MS);
  try {
    const stories = await Promise.all(alerts.slice(0, STORIES_MAX).map((alert) => withSignal(storyOf(alert, parts), limit.signal).catch(() => undefined)));
    return alerts.map((alert, i) => (stories[i] === undefined ? alert : { ...alert, story: stories[i] }));
  } finally {
    limit.clear();
  }
}

/** What is looked up when an alert is told of or shown. */
export async function storyOf(alert: Alert, { resources, alerts, settings }: Pick<NotificationParts, "resources" | "alerts" | "settings">): Promise<AlertStory> {
  const { type, id } = alert.resource;
  const transitions = id === "" ? [] : await resources.transitions(type, id);
  const base = settings().api.external_url?.replace(/\/+$/, "");
  return {
    transitions: transitions.slice(-TRANSITIONS_MAX),
    others: Math.max(0, alerts().firingOf(type, alert.rule) - (alert.status === "firing" ? 1 : 0)),
    url: base === undefined ? undefined : `${base}/api/v1/alerts/${alert.dedup_key}`,
  };
}
