import { cut, printable } from "../../sdk/alert_text.ts";
import type { Logger } from "../../sdk/log.ts";

const NOTES_MAX = 100;
const NOTE_LENGTH_MAX = 500;

/** What components said while a test ran: shown with its failure. Each thing once, in order, bounded. */
export interface Notes {
  add(component: string, message: string): void;
  readonly lines: readonly string[];
}

export function createNotes(): Notes {
  const said = new Set<string>();
  return {
    add(component, message) {
      if (said.size < NOTES_MAX) said.add(cut(printable(`${component}: ${message}`), NOTE_LENGTH_MAX));
    },
    get lines() {
      return [...said];
    },
  };
}

/** A log of which warnings and errors become notes. */
export function notingLog(notes: Notes, fields: object = {}): Logger {
  const note = (more: object, message: string): void => {
    const { component } = { ...fields, ...more } as { component?: unknown };
    notes.add(typeof component === "string" ? component : "agent", message);
  };
  return { debug() {}, info() {}, warn: note, error: note, child: (more) => notingLog(notes, { ...fields, ...more }) };
}
