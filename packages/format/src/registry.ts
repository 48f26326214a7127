import { InvalidArgumentError } from './errors.js';

/** Named things, looked up by name. Built from an explicit list: nothing registers itself on import. */
export interface Registry<T extends { readonly name: string }> {
  readonly names: readonly string[];
  /** Throws InvalidArgumentError that lists the known names. */
  get(name: string): T;
}

/** Makes a registry of `kind` (used in error messages). Throws InvalidArgumentError on a name used twice. */
export function createRegistry<T extends { readonly name: string }>(
  kind: string,
  entries: readonly T[],
): Registry<T> {
  const byName = new Map<string, T>();
  for (const entry of entries) {
    if (byName.has(entry.name))
      throw new InvalidArgumentError(`two entries of the ${kind} registry are named "${entry.name}"`);
    byName.set(entry.name, entry);
  }
  const names = [...byName.keys()];
  return {
    names,
    get(name) {
      const entry = byName.get(name);
      if (!entry)
        throw new InvalidArgumentError(`unknown ${kind} "${name}"`, { mend: `Known: ${names.join(', ')}.` });
      return entry;
    },
  };
}
