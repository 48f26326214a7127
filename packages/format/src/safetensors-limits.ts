/** The limit of the reference implementation: a header of 100 MB describes about a million tensors. */
export const MAX_SAFETENSORS_HEADER_BYTES = 100_000_000;

/** Data begins at a multiple of this: a cache line, and the widest SIMD register of any current machine. */
export const SAFETENSORS_DATA_ALIGNMENT = 64;

/** A file begins with the length of its header, an unsigned 64-bit integer. */
export const LENGTH_BYTES = 8;

/** The key of the header that is not a tensor. */
export const METADATA_KEY = '__metadata__';
