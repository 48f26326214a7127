const constructors = [
  'ArrayBuffer',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigUint64Array',
  'BigInt64Array',
];

/** An allocation that the input does not justify. It is thrown before memory is taken. */
export class AllocationError extends Error {}

/**
 * Watches the buffers that are made through the global constructors from now on: lists of numbers that parsers size
 * by what a file says. What grows element by element is bounded by the heap limit of the thread instead.
 */
export function watchAllocations() {
  const watch = { limit: Number.POSITIVE_INFINITY, largest: 0, refused: undefined };
  for (const name of constructors) {
    globalThis[name] = new Proxy(globalThis[name], {
      construct(target, args, newTarget) {
        const bytes = bytesOf(args[0]) * (target.BYTES_PER_ELEMENT ?? 1);
        if (bytes > watch.largest) watch.largest = bytes;
        if (bytes > watch.limit) {
          watch.refused = new AllocationError(`${bytes} bytes of ${name}, above the limit of ${watch.limit}`);
          throw watch.refused;
        }
        return Reflect.construct(target, args, newTarget);
      },
    });
  }
  return watch;
}

/** Elements that a constructor's argument asks for; a view of a buffer takes no memory. */
function bytesOf(argument) {
  if (typeof argument === 'number') return argument;
  return typeof argument?.length === 'number' ? argument.length : 0;
}
