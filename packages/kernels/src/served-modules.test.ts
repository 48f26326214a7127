import { FileAccessError, MalformedFileError } from '@lbs/format';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type EmbeddedWasm, embeddedBytes } from './embedded-wasm.js';
import { codeRefinementWasm } from './generated/code-refinement-wasm.js';
import { codeSearchWasm } from './generated/code-search-wasm.js';
import { decodingRelaxedWasm } from './generated/decoding-relaxed-wasm.js';
import { decodingWasm } from './generated/decoding-wasm.js';
import { int8ProductsWasm } from './generated/int8-products-wasm.js';
import { linearAlgebraWasm } from './generated/linear-algebra-wasm.js';
import { packingWasm } from './generated/packing-wasm.js';
import { prefillRelaxedWasm } from './generated/prefill-relaxed-wasm.js';
import { prefillWasm } from './generated/prefill-wasm.js';
import { wasmFiles } from './generated/wasm-files.js';
import { createKernels, type Kernels, LinearAlgebra, type WasmFile } from './index.js';
import { hasRelaxedSimd } from './simd.js';

const embedded: Record<WasmFile, EmbeddedWasm> = {
  decoding: decodingWasm,
  decodingRelaxed: decodingRelaxedWasm,
  int8Products: int8ProductsWasm,
  prefill: prefillWasm,
  prefillRelaxed: prefillRelaxedWasm,
  packing: packingWasm,
  linearAlgebra: linearAlgebraWasm,
  codeSearch: codeSearchWasm,
  codeRefinement: codeRefinementWasm,
};
const files = Object.keys(embedded) as WasmFile[];

const addressOf = (file: WasmFile) => `https://kernels.example/${wasmFiles[file].name}`;
const modules = Object.fromEntries(files.map((file) => [file, addressOf(file)]));

/** What the server holds, and what it was asked for. */
let served: Map<string, Uint8Array<ArrayBuffer>>;
let requests: string[];
/** Bytes of a chunk of the stream. */
let chunkBytes: number;
beforeEach(() => {
  served = new Map(files.map((file) => [addressOf(file), embeddedBytes(embedded[file], false)]));
  requests = [];
  chunkBytes = 1000;
  vi.stubGlobal('fetch', async (url: string) => {
    requests.push(url);
    const bytes = served.get(`${url}`);
    if (!bytes) return new Response('no such file', { status: 404 });
    let place = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (place >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(place, place + chunkBytes));
        place += chunkBytes;
      },
    });
    // As a server does that does not know the type.
    return new Response(body, { headers: { 'content-type': 'application/octet-stream' } });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** A product, and one by the linear algebra, which is on all threads. */
function compute(kernels: Kernels): number[] {
  const [rows, columns] = [256, 512];
  const matrix = kernels.loadDense(new Float32Array(rows * columns).fill(2), rows, columns);
  const x = kernels.allocate(4 * columns * rows);
  const y = kernels.allocate(4 * columns * rows);
  kernels.float32(x, columns * rows).fill(1);
  kernels.multiply(matrix, x, y, 1);
  const first = kernels.float32(y, rows)[rows - 1]!;
  new LinearAlgebra(kernels).multiplyTransposed(matrix, { input: x, output: y, tokens: rows });
  return [first, kernels.float32(y, columns * rows)[columns * rows - 1]!];
}

describe('createKernels with served modules', () => {
  it.each([1, 3])('computes with them, %i threads', async (threads) => {
    const kernels = await createKernels({ modules, threads });
    expect(kernels.threads).toBe(threads);
    expect(compute(kernels)).toEqual([1024, 512]);
    kernels.close();
    const decoder = hasRelaxedSimd()
      ? (['decodingRelaxed', 'prefillRelaxed', 'int8Products'] as const)
      : (['decoding', 'prefill'] as const);
    const others = ['packing', 'linearAlgebra', 'codeSearch', 'codeRefinement'] as const;
    expect(requests.toSorted()).toEqual([...decoder, ...others].map(addressOf).toSorted());
  });

  it('fetches plain SIMD where it is asked for', async () => {
    const { decoding, prefill } = modules;
    const kernels = await createKernels({ modules: { decoding, prefill }, simd: 'plain' });
    expect(requests.toSorted()).toEqual([decoding, prefill]);
    expect(compute(kernels)).toEqual([1024, 512]);
  });

  it('takes the rest from the JavaScript', async () => {
    const kernels = await createKernels({ modules: { linearAlgebra: new URL(addressOf('linearAlgebra')) } });
    expect(requests.map(String)).toEqual([addressOf('linearAlgebra')]);
    expect(compute(kernels)).toEqual([1024, 512]);
  });

  it.each([1, 7, 1e6])('sets the bit of a shared memory in chunks of %i bytes', async (bytes) => {
    chunkBytes = bytes;
    const kernels = await createKernels({
      modules: { linearAlgebra: addressOf('linearAlgebra') },
      threads: 2,
    });
    expect(compute(kernels)).toEqual([1024, 512]);
    kernels.close();
  });

  it('names the file that is not there', async () => {
    served.delete(addressOf('packing'));
    const error = await createKernels({ modules }).catch((reason) => reason);
    expect(error).toBeInstanceOf(FileAccessError);
    expect(error.message).toMatch(
      /^https:\/\/kernels.example\/packing.wasm: .* answers 404\. Serve the files/,
    );
  });

  it('tells of a server that cannot be reached', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    const error = await createKernels({ modules }).catch((reason) => reason);
    expect(error).toBeInstanceOf(FileAccessError);
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it.each([
    ['is longer', (bytes: Uint8Array) => Uint8Array.from([...bytes, 0, 2, 1, 97])],
    ['is cut off', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['is a page', () => new TextEncoder().encode('<!doctype html>')],
    ['is empty', () => new Uint8Array()],
    ['has a changed byte', (bytes: Uint8Array) => bytes.slice().fill(255, 8, 9)],
  ])('refuses a file that %s', async (_, change) => {
    const url = addressOf('codeSearch');
    served.set(url, Uint8Array.from(change(served.get(url)!)));
    const error = await createKernels({ modules }).catch((reason) => reason);
    expect(error).toBeInstanceOf(MalformedFileError);
    expect(error.message).toMatch(/code-search.wasm: this is not code-search.wasm of this version/);
  });
});
