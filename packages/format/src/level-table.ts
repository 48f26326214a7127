/**
 * A level table: 2^N integers that do not descend, and the centre that is taken from each.
 * A weight is `scale * (levels[code] - centre)`. Levels may repeat where a format has fewer than 2^N values.
 */
export interface LevelTable {
  readonly name: string;
  readonly levels: readonly number[];
  /** A multiple of one half, so that `2 * (level - centre)` is an integer. */
  readonly centre: number;
}

/** Evenly spaced levels: `levels[q] = q`, centre (2^bits - 1) / 2. A symmetric grid without a zero. */
export function linearLevelTable(bits: number): LevelTable {
  const count = 2 ** bits;
  return {
    name: `linear-${bits}`,
    levels: Array.from({ length: count }, (_, code) => code),
    centre: (count - 1) / 2,
  };
}

/**
 * Two's complement integers: `levels[q] = q`, centre 2^(bits - 1), so that the values run from -2^(bits - 1) to
 * 2^(bits - 1) - 1 and zero is one of them. What INT8, INT4 and INT3 mean elsewhere.
 */
export function integerLevelTable(bits: number): LevelTable {
  return { name: `integer-${bits}`, levels: linearLevelTable(bits).levels, centre: 2 ** (bits - 1) };
}

/** Evenly spaced levels `levels[q] = q` for formats with zero-points: the centre is 0. */
export function unsignedLevelTable(bits: number): LevelTable {
  return { name: `unsigned-${bits}`, levels: linearLevelTable(bits).levels, centre: 0 };
}

/** Levels `levels[q] = spacing * q` for formats whose zero-points are fractions of a step: a zero-point of 1 is 1 / spacing steps. */
export function spacedLevelTable(bits: number, spacing: number): LevelTable {
  return {
    name: `spaced-${bits}x${spacing}`,
    levels: linearLevelTable(bits).levels.map((code) => spacing * code),
    centre: 0,
  };
}

/**
 * `2 * (level - centre)` of every code: odd or even integers that need no centre correction, which is what
 * kernels multiply by. A weight is `scale / 2` times this.
 */
export function doubledLevels(table: LevelTable): Int16Array {
  return Int16Array.from(table.levels, (level) => 2 * (level - table.centre));
}
