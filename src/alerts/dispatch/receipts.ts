import type { Receipt } from "../../sdk/alert.ts";
import type { Json } from "../../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../../sdk/store.ts";

const RECEIPTS: Table = {
  name: "receipts",
  columns: [["exporter", "text"], ["dedup_key", "text"], ["receipt", "json"]],
  keyColumns: 2,
};

/** What the destination answered last for an open incident: a message id to update, say. */
export class Receipts implements Persistent {
  readonly tables = [RECEIPTS];
  readonly #receipts = new Map<string, Json>();
  /** By key: what the next commit writes; undefined is a deletion. */
  #changes = new Map<string, { readonly key: readonly [exporter: string, key: string]; readonly receipt: Json | undefined }>();

  get(exporter: string, key: string): Json | undefined {
    return this.#receipts.get(receiptKey(exporter, key));
  }

  /** What came of a delivery; undefined forgets what was known of the incident. */
  remember(exporter: string, key: string, receipt: Receipt): void {
    const at = receiptKey(exporter, key);
    if (receipt === undefined && !this.#receipts.delete(at)) return;
    if (receipt !== undefined) this.#receipts.set(at, receipt);
    this.#changes.set(at, { key: [exporter, key], receipt });
  }

  async restore(store: Store): Promise<void> {
    await store.load(RECEIPTS, (cells) => {
      for (let i = 0; i < cells.length; i += 3) {
        this.#receipts.set(receiptKey(cells[i] as string, cells[i + 1] as string), JSON.parse(cells[i + 2] as string) as Json);
      }
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#changes.size === 0) return;
    const puts: Cell[] = [];
    const deletes: Cell[] = [];
    for (const { key, receipt } of this.#changes.values()) {
      if (receipt === undefined) deletes.push(...key);
      else puts.push(...key, JSON.stringify(receipt));
    }
    changes.push({ table: RECEIPTS, puts, deletes });
    this.#changes = new Map();
  }
}

function receiptKey(exporter: string, key: string): string {
  return `${exporter}\n${key}`;
}
