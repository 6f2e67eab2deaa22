import { dirname, resolve } from "node:path";
import { ConfigLoader, type Loaded, type LoadOptions } from "../../config/load.ts";
import type { Wanted } from "../../config/model.ts";
import type { Json } from "../../sdk/observation.ts";

/** `reload` of a step, validated. */
export interface Reload {
  readonly set?: Readonly<Record<string, Json>>;
  readonly with?: string | null;
  readonly rejected?: boolean;
}

/** A loader that says when it waits for files. */
export class EditedLoader extends ConfigLoader {
  loading = false;

  override async load(): Promise<Loaded> {
    this.loading = true;
    try {
      return await super.load();
    } finally {
      this.loading = false;
    }
  }
}

/** The configuration of a test as its `reload` steps change it; the files themselves stay as they are. */
export class Edits {
  readonly #options: LoadOptions;
  /** File → what is read in its place; undefined: nothing, it is gone. */
  readonly #replaced = new Map<string, string | undefined>();
  #set: readonly string[];
  #loader: EditedLoader | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#set = options.set ?? [];
  }

  /** Takes over what a step of the test in `file` says. Gives the loader to reload with, and how to undo it. */
  async edited(file: string, { set = {}, with: other }: Reload): Promise<{ readonly loader: EditedLoader; readonly undo: () => void }> {
    const [before, loader] = [this.#set, await this.#made()];
    this.#set = [...before, ...Object.entries(set).map(([path, value]) => `${path}=${JSON.stringify(value)}`)];
    if (other !== undefined) this.#replaced.set(file, other === null ? undefined : resolve(dirname(file), other));
    return { loader, undo: () => void (this.#set = before) };
  }

  /** A problem's text, with the file that was really read. */
  said(problem: string): string {
    for (const [file, other] of this.#replaced) if (other !== undefined && problem.startsWith(`${file}:`)) return other + problem.slice(file.length);
    return problem;
  }

  /** What an agent that starts now finds; `unchanged` when there were no edits. */
  async fresh(unchanged: Wanted): Promise<Wanted> {
    if (this.#loader === undefined) return unchanged;
    this.#loader = this.#create();
    return (await this.#loader.load()).wanted;
  }

  /** What is there before the first edit counts as loaded: a file that turns bad is then frozen. */
  async #made(): Promise<EditedLoader> {
    if (this.#loader === undefined) {
      this.#loader = this.#create();
      await this.#loader.load();
    }
    return this.#loader;
  }

  #create(): EditedLoader {
    const set = (): readonly string[] => this.#set;
    return new EditedLoader({ ...this.#options, replaced: this.#replaced, get set() { return set(); } });
  }
}
