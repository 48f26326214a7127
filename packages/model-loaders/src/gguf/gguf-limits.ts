/*
 * What a GGUF header may ask for. Counts and lengths are also checked against the bytes that are left in the file
 * before anything is allocated, so that a small file can never ask for much memory.
 */

/** The largest headers hold tokenizers of 300,000 tokens: about 20 MB. */
export const MAX_HEADER_BYTES = 2 ** 28;

/** Published files have less than 100 entries. */
export const MAX_METADATA_ENTRIES = 65_536;

/** A mixture of experts of 100 layers with 1,000 unfused experts would have 300,000. */
export const MAX_TENSORS = 2 ** 20;

/** The longest strings are chat templates. */
export const MAX_STRING_BYTES = 2 ** 24;

/** The longest arrays are the tokens and merges of a tokenizer. */
export const MAX_ARRAY_LENGTH = 2 ** 22;

/** Elements of all arrays together: each takes more memory than the one byte that it may have in the file. */
export const MAX_ARRAY_ELEMENTS = 2 ** 23;

/** Each level of nesting is a level of recursion in the reader; no published file nests at all. */
export const MAX_ARRAY_DEPTH = 4;

/** From the specification: lengths of a key and of a tensor name, dimensions of a tensor. */
export const MAX_KEY_BYTES = 65_535;
export const MAX_TENSOR_NAME_BYTES = 64;
export const MAX_DIMENSIONS = 4;

/** As many files as those of the largest models, ten times over; every one of them costs an open file. */
export const MAX_SHARDS = 10_000;
