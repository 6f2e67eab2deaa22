import type { Truth } from "./truth.ts";

/** Where orders come from while the agent is killed: a real part, written to as its users would. */
export interface Source {
  /** Type of its resources, and name of its pipeline. */
  readonly type: string;
  readonly truth: Truth;
  /** The receiver in YAML: `id: { … }`. */
  readonly receiver: string;
  /** Format that `parse` reads first; none when bodies come decoded. */
  readonly parse?: string;
  /** Path of what holds order_id, status, seq and time: `body`, `body.after`. */
  readonly order: string;
  /** What the receiver's configuration reads from the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** False where the source cannot tell of every move: then only states are compared. */
  readonly everyMove?: boolean;
  /** Makes and moves orders until `ended`; then returns how often it had to repeat itself. */
  run(ended: () => boolean): Promise<number>;
  /** Breaks the real part (kills the server, cuts the connection) and mends it. Called now and then while `run` runs. */
  trouble?(random: () => number): Promise<void>;
  close?(): Promise<void>;
}

export interface SourceParts {
  /** Removed at the end. */
  readonly directory: string;
  readonly seed: number;
}

export type MakeSource = (parts: SourceParts) => Promise<Source>;
