import type { Json } from "../sdk/observation.ts";
import type { TimeIntervalConfig } from "../sdk/time_intervals.ts";

/** A place in a configuration file. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** One thing wrong with the configuration: `file:line:column path: what is wrong; what is allowed`. */
export interface Problem {
  readonly place: Place;
  /** Dotted path in the file: `receivers.http_poll/orders.interval`. */
  readonly path: string;
  readonly message: string;
}

export type ComponentKind = "receiver" | "processor" | "exporter";

/** One component, ready to be created: interpolated, validated, defaults filled in. */
export interface ComponentConfig {
  readonly kind: ComponentKind;
  /** `type` or `type/name`; an inline component gets an id from its pipeline and place. */
  readonly id: string;
  readonly type: string;
  readonly config: Readonly<Record<string, Json>>;
  /** The same without secrets (`writeOnly` values and whatever `${env:}`/`${file:}` put into them redacted). */
  readonly redacted: Readonly<Record<string, Json>>;
  /** Canonical text of `config`: equal means unchanged. Contains secrets: compare, never print. */
  readonly fingerprint: string;
  /** File that defines it. */
  readonly file: string;
  /** Where a JSON pointer within `config` is written. */
  locate(pointer: string): { readonly place: Place; readonly path: string };
}

export interface PipelineConfig {
  readonly name: string;
  /** Ids, in order. */
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
  readonly file: string;
  locate(pointer: string): { readonly place: Place; readonly path: string };
}

/** `service` of the configuration, validated and with defaults. Durations stay text, as written. */
export interface ServiceConfig {
  readonly external_labels: Readonly<Record<string, string>>;
  readonly storage: { readonly directory: string | undefined };
  readonly api: { readonly listen: string; readonly external_url?: string | undefined };
  readonly health: { readonly listen: string | undefined };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error"; readonly format: "auto" | "json" | "pretty" };
  readonly evaluation_interval: string;
  readonly catch_up_timeout: string;
  readonly shutdown_timeout: string;
  readonly dedupe_ttl: string;
  readonly dedupe_max: number;
  readonly dead_letters_max: number;
  readonly heartbeat?: HeartbeatConfig | undefined;
  readonly receiver_failing: ReceiverFailingConfig;
  readonly deliveries_max: number;
  readonly silences: readonly {
    readonly id?: string;
    readonly matchers: readonly string[];
    /** RFC 3339. */
    readonly starts_at?: string;
    readonly ends_at: string;
    readonly created_by: string;
    readonly comment: string;
  }[];
  readonly inhibit_rules: readonly InhibitRuleConfig[];
  readonly time_intervals: Readonly<Record<string, readonly TimeIntervalConfig[]>>;
}

/** One of `service.inhibit_rules`. */
export interface InhibitRuleConfig {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  readonly equal: readonly string[];
}

/** `service.heartbeat`: who is told that the agent is alive. */
export interface HeartbeatConfig {
  /** A secret. */
  readonly url: string;
  readonly interval: string;
  readonly method: "GET" | "POST";
}

/** `service.receiver_failing`: the alert that every receiver has. */
export interface ReceiverFailingConfig {
  readonly enabled: boolean;
  readonly for: string;
  readonly severity: string;
}

/** One of a file's `tests:`; its steps are validated. */
export interface TestCase {
  readonly name: string;
  readonly file: string;
  readonly steps: readonly Readonly<Record<string, Json>>[];
  locate(pointer: string): { readonly place: Place; readonly path: string };
}

/** A file that was not taken, with all that is wrong with it. What it defined is frozen. */
export interface RejectedFile {
  readonly file: string;
  readonly problems: readonly Problem[];
  /** True when its last good version still runs. */
  readonly lastGoodRuns: boolean;
}

/** What the configuration asks for: the input of `plan`. */
export interface Wanted {
  readonly components: readonly ComponentConfig[];
  readonly pipelines: readonly PipelineConfig[];
  readonly service: ServiceConfig;
  /** `service` as it may be shown. */
  readonly serviceRedacted?: Readonly<Record<string, Json>>;
  /** Where a JSON pointer within `service` is written. */
  readonly locateService?: (pointer: string) => { readonly place: Place; readonly path: string };
  readonly tests: readonly TestCase[];
  readonly rejected: readonly RejectedFile[];
  /** sha256 of the effective configuration, redacted, in hex: the same on every replica with the same files. */
  readonly hash: string;
}
