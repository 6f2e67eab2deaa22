import type { Json, Observation } from "./observation.ts";
import type { RuleDeclaration } from "./rule.ts";

/** A resource changed state. Times in ms since the epoch, durations in ms. */
export interface Transition {
  readonly from: string;
  readonly to: string;
  /** Event time of the observation that moved it. */
  readonly at: number;
  /** Time spent in `from`. */
  readonly duration: number;
}

/**
 * What one observation did to the life of a resource: what its trace is made of. At least one part is there.
 * Event times in ms since the epoch.
 */
export interface LifecycleChange {
  readonly type: string;
  readonly id: string;
  /** The state it left, where it is known since when it was in it, and until when. `to` is undefined when it was deleted. */
  readonly left:
    | { readonly incarnation: number; readonly state: string; readonly since: number; readonly at: number; readonly to: string | undefined }
    | undefined;
  /** It came to a terminal state, or was deleted before it came to one. `estimated`: nobody told when, so it may have been sooner. */
  readonly ended:
    | {
      readonly incarnation: number;
      readonly began: number;
      readonly at: number;
      readonly state: string;
      readonly deleted: boolean;
      readonly estimated: boolean;
    }
    | undefined;
  /** An incarnation began, as far as is known. */
  readonly began: { readonly incarnation: number; readonly at: number; readonly state: string } | undefined;
}

/** The names that `self` has of its own; they are not free for attributes. */
export const RESOURCE_FIELDS = ["type", "id", "state", "since", "first_seen", "last_seen", "incarnation"] as const;

/** State of a resource whose observations name none. */
export const NO_STATE = "";

/** Stands for every further state once a type has `states_max` of them. */
export const OTHER_STATE = "__other__";

/**
 * One resource, as it is at the moment of the call: a cursor over the table, not a copy.
 * Valid until the synchronous call that was given it returns.
 */
export interface ResourceView {
  readonly type: string;
  readonly id: string;
  /** `NO_STATE` when the type has none. */
  readonly state: string;
  /** When it entered this state, ms. */
  readonly since: number;
  readonly first_seen: number;
  readonly last_seen: number;
  readonly incarnation: number;
  /** Event time of the last observation that was not late, ms; not on a copy. */
  readonly eventTime?: number;
  /** An attribute, or undefined where it has none of that name. */
  attribute(name: string): Json | undefined;
}

/** One declared state of a type. Durations in ms. */
export interface StateDeclaration {
  readonly terminal: boolean;
  /** States it may move to; undefined: not judged. */
  readonly next: readonly string[] | undefined;
}

/**
 * What a `track` says of its type. Several may feed one type: attributes merge, and two different
 * `states` are an error of the configuration (see `statesKey`).
 */
export interface TypeDeclaration {
  readonly type: string;
  readonly states: ReadonlyMap<string, StateDeclaration>;
  /** Canonical text of the `states` as written, to compare two declarations. */
  readonly statesKey: string;
  readonly attributes: readonly string[];
  readonly exhaustive: boolean;
  /** States with a `loop_max`: entries to these are counted. */
  readonly loopStates: ReadonlySet<string>;
  /** Resources in a terminal state are forgotten after this; ms. */
  readonly expireTerminalAfterMs: number;
  /** Any resource not seen for this long is forgotten; ms. Undefined: never. */
  readonly expireAfterMs: number | undefined;
  readonly resourcesMax: number;
  readonly statesMax: number;
}

/** What one observation says of one resource: filled by `track`, read by the tracker, reused for the next. */
export interface Sighting {
  id: string;
  /** Undefined: the observation does not say. */
  state: string | undefined;
  /** The state before, as the source reports it. */
  previous: string | undefined;
  /** Event time, ms. */
  time: number;
  /** `time` is only when it was received: the source does not say when it happened, so it is newer than all before. */
  arrival: boolean;
  /** Orders observations of one resource; undefined: by time. */
  sequence: number | undefined;
  /** When it entered `state`, as the source reports it, ms. */
  since: number | undefined;
  deleted: boolean;
  snapshot: boolean;
  source: string;
  /** Parallel to the names given to `tracker`; undefined keeps the old value, null removes it. */
  readonly attributes: (Json | undefined)[];
}

/** What became of a sighting. */
export type TrackResult = "created" | "moved" | "updated" | "late" | "deleted" | "refused";

/** Applies sightings to the resources of one type, in memory, at once. */
export interface Tracker {
  /** An empty sighting to fill and hand in again and again. */
  sighting(): Sighting;
  /**
   * Applies it, evaluates the rules of the type, and leaves `self` and `transition` on the resource and
   * the move it made. "refused": the type already holds `resourcesMax`.
   */
  apply(sighting: Sighting, observation: Observation): TrackResult;
  /** The resource of the last `apply` (not after "refused"). */
  readonly self: ResourceView;
  /** The move that the last `apply` made, if it made one. */
  readonly transition: Transition | undefined;
}

/** What a component adds to the whole beside processing: collected when the graph is planned, before anything runs. */
export interface Declarations {
  readonly type?: TypeDeclaration;
  /** A rule without `type` applies to the type tracked before it in its pipeline. */
  readonly rules?: readonly RuleDeclaration[];
}

/** A resource for whoever evaluates rules on it: its row number is stable while it exists. */
export interface EvaluatedResource extends ResourceView {
  readonly row: number;
  /** The state it was in before this one; `NO_STATE` if none is known. */
  readonly previous: string;
  /** Event time of the observation that brought it into this state, ms; `since` may be older, if the source says so. */
  readonly movedAt: number;
  readonly eventTime: number;
  /** Its last move was one that the declaration forbids. */
  readonly illegal: boolean;
  /** In a state that the declaration does not name. */
  readonly undeclared: boolean;
  /** In a state that is declared as terminal. */
  readonly terminal: boolean;
  /** How often it entered `state` in this incarnation. */
  visits(state: string): number;
  readonly attributes: Readonly<Record<string, Json>>;
  /** Receivers that told of it. */
  readonly sources: readonly string[];
  /** Since when somebody could hear of it: before, the agent was down, or all its receivers failed. ms; 0: not known */
  readonly listenedSince: number;
}

/** Judges resources. Called synchronously, after each change and at the deadlines it asks for. */
export interface Judge {
  /**
   * An observation told of the resource (`observed`), its deadline has come, or rules changed. `leftState` is the state
   * it just left, if it moved. With `observed`: the observation, and the move that it made, if any. Returns when it wants to
   * see the resource again even if nothing changes (ms; Infinity: never).
   */
  judge(
    resource: EvaluatedResource, leftState: string | undefined, observed: boolean, observation?: Observation, transition?: Transition,
  ): number;
  /** False while nobody can say whether the resource is still there: then its silence does not make it expire. */
  mayExpire(resource: EvaluatedResource): boolean;
  /** The clock was set back: what was noted by it lies this much (ms, negative) too late. All resources are judged after it. */
  setBack?(byMs: number): void;
  /** The resource is gone: its row number is free after this call. */
  forget(resource: EvaluatedResource, reason: "deleted" | "expired"): void;
}
