/**
 * The modules that the kernels are cut into, each `assembly/modules/ENTRY.ts`: what different users need is compiled, loaded and bundled on
 * its own. All import the same memory. Relaxed SIMD makes a whole module invalid where an engine lacks it, so what uses it is built
 * twice; `ASC_FEATURE_RELAXED_SIMD` tells the source which of the two it is.
 */
export const wasmModules = [
  { name: 'decoding', entry: 'decoding', relaxedSimd: false },
  { name: 'decoding-relaxed', entry: 'decoding', relaxedSimd: true },
  { name: 'prefill', entry: 'prefill', relaxedSimd: false },
  { name: 'prefill-relaxed', entry: 'prefill', relaxedSimd: true },
  { name: 'int8-products', entry: 'int8-products', relaxedSimd: true },
  { name: 'packing', entry: 'packing', relaxedSimd: false },
  { name: 'linear-algebra', entry: 'linear-algebra', relaxedSimd: false },
  { name: 'code-search', entry: 'code-search', relaxedSimd: false },
  { name: 'code-refinement', entry: 'code-refinement', relaxedSimd: false },
];

/** Greatest size of a module in bytes. `moduleBytes` of src/worker-source.ts has room for as many. */
export const sizeLimit = 64_000;

/** The import env.memory as it is encoded: two names with their lengths, the kind, then the flags of its limits. */
const memoryImport = Buffer.from('\x03env\x06memory\x02');
/** The limits have a maximum. Shared memory sets the bit above. */
const hasMaximum = 1;
/** Number of the section of data in the binary format. */
const dataSection = 11;

/** Where the flags of the imported memory's limits are; undefined where no memory with a maximum is imported as env.memory. */
export function findMemoryFlags(bytes) {
  const imported = Buffer.from(bytes).indexOf(memoryImport);
  const offset = imported + memoryImport.length;
  return imported >= 0 && bytes[offset] === hasMaximum ? offset : undefined;
}

/**
 * What is wrong with a compiled module, one line each.
 * @param {Uint8Array} bytes
 */
export function moduleProblems(bytes) {
  const problems = [];
  if (bytes.length >= sizeLimit) {
    problems.push(
      `takes ${bytes.length} bytes, and must take less than ${sizeLimit}: move a part to a module of its own`,
    );
  }
  if (findMemoryFlags(bytes) === undefined) {
    problems.push('does not import a memory with a maximum as env.memory');
  }
  // All modules, and every worker's instances of them, share one memory, whose contents are the caller's.
  if (sectionNumbers(bytes).includes(dataSection)) {
    problems.push('holds data, which each instance would write over the memory of all');
  }
  return problems;
}

/**
 * Exports that more than one module has: the threads call an export by its name alone.
 * @param {readonly Uint8Array[]} modules without relaxed SIMD, which the engine may lack
 */
export function sharedExports(modules) {
  const seen = new Set();
  return modules
    .flatMap((bytes) => WebAssembly.Module.exports(new WebAssembly.Module(bytes)))
    .map(({ name }) => name)
    .filter((name) => seen.size === seen.add(name).size);
}

function sectionNumbers(bytes) {
  const numbers = [];
  for (let place = 8; place < bytes.length; ) {
    numbers.push(bytes[place++]);
    let size = 0;
    let shift = 0;
    do {
      size += (bytes[place] & 127) * 2 ** shift;
      shift += 7;
    } while (bytes[place++] & 128);
    place += size;
  }
  return numbers;
}
