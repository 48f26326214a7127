import { storedSuffixes } from './stored-tensor.js';

/** Longest first: the name of one suffix ends with another. */
const suffixes = Object.values(storedSuffixes)
  .map((suffix) => `.${suffix}`)
  .sort((a, b) => b.length - a.length);

/** The module whose matrix a tensor is a stored part of; undefined for all other tensors. */
export function storedModuleOf(tensor: string): string | undefined {
  const suffix = suffixes.find((known) => tensor.endsWith(known) && tensor.length > known.length);
  return suffix && tensor.slice(0, -suffix.length);
}
