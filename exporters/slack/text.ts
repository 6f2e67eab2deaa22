/** A text object of Block Kit. */
export interface Text {
  readonly type: "mrkdwn" | "plain_text";
  readonly text: string;
  readonly verbatim?: true;
  readonly emoji?: true;
}

/** `verbatim`: Slack turns no name or address in it into a link or a mention by itself. */
export function mrkdwn(text: string): Text {
  return { type: "mrkdwn", text, verbatim: true };
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/**
 * Text in which Slack sees no markup of its own (`<!channel>`, `<@U1>`, `<https://…|…>`), at most `lengthMax` long.
 * Cut before an entity, never within. https://docs.slack.dev/messaging/formatting-message-text#escaping
 */
export function escaped(text: string, lengthMax: number): string {
  let result = "";
  let fitting = "";
  for (const character of text.toWellFormed()) {
    result += ENTITIES[character] ?? character;
    if (result.length > lengthMax) return lengthMax < 1 ? "" : `${fitting}…`;
    if (result.length < lengthMax) fitting = result;
  }
  return result;
}

/** A link with a title; empty where it is longer than `lengthMax`, since half a link leads elsewhere. */
export function link(url: string | undefined, title: string, lengthMax: number): string {
  if (url === undefined) return "";
  const text = `<${escaped(url.replaceAll("|", "%7C"), Infinity)}|${title}>`;
  return text.length <= lengthMax ? text : "";
}
