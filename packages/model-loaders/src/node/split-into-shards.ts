import { type SafetensorsTensorSpec, safetensorsByteLength, storedModuleOf } from '@lbs/format';

/**
 * Spreads tensors over files of at most `maxBytes` of data each, in their order. The stored parts of one quantized
 * matrix stay together, so that a reader of one layer opens one file; what alone is larger than `maxBytes` has a
 * file of its own. No tensors make one empty list.
 */
export function splitIntoShards<Tensor extends SafetensorsTensorSpec>(
  tensors: readonly Tensor[],
  maxBytes: number,
): Tensor[][] {
  const units = new Map<string, Tensor[]>();
  for (const tensor of tensors) {
    const module = storedModuleOf(tensor.name);
    // A matrix may be stored both ways: the quantized parts of `m` are a unit, the tensor `m` is another.
    const unit = module === undefined ? `tensor ${tensor.name}` : `module ${module}`;
    const members = units.get(unit);
    if (members) members.push(tensor);
    else units.set(unit, [tensor]);
  }
  const shards: Tensor[][] = [[]];
  let room = maxBytes;
  for (const unit of units.values()) {
    const bytes = unit.reduce((sum, tensor) => sum + dataBytes(tensor), 0);
    if (bytes > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = maxBytes;
    }
    shards.at(-1)!.push(...unit);
    room -= bytes;
  }
  return shards;
}

/** Bytes of a tensor's data. What has no size is refused where it is written. */
export function dataBytes({ dtype, shape }: SafetensorsTensorSpec): number {
  return safetensorsByteLength(dtype, shape) ?? 0;
}
