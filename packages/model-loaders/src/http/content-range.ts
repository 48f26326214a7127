/** Which bytes of a file an answer holds. */
export interface ContentRange {
  readonly begin: number;
  /** Behind the last byte. */
  readonly end: number;
  /** Of the whole file; undefined where the server does not tell. */
  readonly size: number | undefined;
}

/**
 * Parses a Content-Range header (RFC 9110, 14.4). For `bytes *` followed by a size, as in an answer 416, `begin` and
 * `end` are 0. Undefined where there is none or it makes no sense.
 */
export function parseContentRange(header: string | null): ContentRange | undefined {
  const [, first, last, whole] =
    /^bytes (?:(\d{1,16})-(\d{1,16})|\*)\/(\d{1,16}|\*)$/.exec(header?.trim() ?? '') ?? [];
  if (whole === undefined) return undefined;
  const size = whole === '*' ? undefined : Number(whole);
  const [begin, end] = first === undefined ? [0, 0] : [Number(first), Number(last) + 1];
  const valid = [begin, end, size ?? 0].every(Number.isSafeInteger) && begin <= end && end <= (size ?? end);
  return valid ? { begin, end, size } : undefined;
}
