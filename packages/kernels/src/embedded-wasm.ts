/** A module as scripts/build-wasm.mjs embeds it. */
export interface EmbeddedWasm {
  /** Where the flags of the imported memory's limits are: 1, and 3 makes it a shared memory. */
  readonly memoryFlagsOffset: number;
  readonly base64: string;
}

/** Added to the flags of a memory's limits: the memory is shared. */
export const sharedFlag = 2;

/** The binary of the module for a shared memory, or for one that is not. */
export function embeddedBytes(
  { base64, memoryFlagsOffset }: EmbeddedWasm,
  shared: boolean,
): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (shared) bytes[memoryFlagsOffset]! |= sharedFlag;
  return bytes;
}
