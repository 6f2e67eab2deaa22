/**
 * What two names have in common that differ only in what a rotator adds: `app.log`, `app.log.1`, `app.log-2026`,
 * `app-2026.log`. The directory counts, and the rest of the name.
 */
export function familyOf(path: string): string {
  const slash = path.lastIndexOf("/") + 1;
  const name = path.slice(slash);
  // From the first number on, then what looks like extensions; a name that is nothing else stays.
  const bare = name.replace(/[._-]\d.*$/, "").replace(/(?:\.[A-Za-z]+)+$/, "");
  return path.slice(0, slash) + (bare === "" ? name : bare);
}
