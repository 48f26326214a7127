import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import { chromium } from 'playwright';
import { build as vite } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumArguments, findChromium } from './find-chromium.mjs';

const pages = fileURLToPath(new URL('pages/', import.meta.url));
const entries = (bundler) => ['embedded', `served-by-${bundler}`].map((name) => join(pages, `${name}.js`));

/** Each as its documentation begins, with nothing set for WebAssembly but what `.wasm` files need to be served. */
const bundlers = {
  esbuild: (outdir) =>
    esbuild({
      entryPoints: entries('esbuild'),
      bundle: true,
      format: 'esm',
      loader: { '.wasm': 'file' },
      logLevel: 'error',
      outdir,
    }),
  vite: (outDir) =>
    vite({
      root: pages,
      base: './',
      configFile: false,
      logLevel: 'error',
      build: {
        outDir,
        rollupOptions: { input: entries('vite'), output: { entryFileNames: '[name].js' } },
      },
    }),
};

const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Headers that a page can be served with, by the first folder of its path. */
const headersOf = {
  isolated,
  alone: {},
  // WebAssembly, and no code from elsewhere: workers from a blob neither.
  strict: {
    ...isolated,
    'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
  },
};

const types = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves folder/bundler/NAME.html, a page that runs NAME.js of the bundler's folder, and whatever else is in that. */
function serve(folders) {
  return createServer(({ url }, response) => {
    const [, kind, bundler, ...path] = normalize(new URL(url, 'http://page').pathname).split(/[\\/]/);
    const name = path.join('/');
    const type = types[name.slice(name.lastIndexOf('.'))];
    if (!(kind in headersOf) || type === undefined) return response.writeHead(404).end();
    response.writeHead(200, { ...headersOf[kind], 'Content-Type': type });
    if (type === types['.html']) {
      response.end(`<!doctype html><script type="module" src="./${name.replace('.html', '.js')}"></script>`);
    } else createReadStream(join(folders[bundler], name)).pipe(response);
  });
}

let browser;
let server;
let root;
const folders = {};
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lbs-pages-'));
  for (const [name, bundle] of Object.entries(bundlers)) {
    folders[name] = join(root, name);
    await bundle(folders[name]);
  }
  server = serve(folders);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  browser = await chromium.launch({ executablePath: findChromium(), args: chromiumArguments });
});
afterAll(async () => {
  await browser?.close();
  server?.close();
  await rm(root, { recursive: true });
});

/** What `useKernels` of a page gives or throws, the names of the files that the page has loaded, and what it has complained of. */
async function use(path, options = {}) {
  const page = await browser.newPage();
  try {
    const files = [];
    const complaints = [];
    page.on('response', (response) => files.push(response.url().split('/').at(-1)));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`http://127.0.0.1:${server.address().port}/${path}.html`);
    const result = await page.evaluate(
      (given) => globalThis.useKernels(given).catch((error) => `${error.code}: ${error.message}`),
      options,
    );
    return { result, files, complaints };
  } finally {
    await page.close();
  }
}

const results = { simd: 'relaxed', product: 1024, transposed: 512 };

describe.each(Object.keys(bundlers))('kernels that %s has bundled', (bundler) => {
  test('compute on threads in a page that is isolated', async () => {
    const { result, files, complaints } = await use(`isolated/${bundler}/embedded`, { threads: 3 });
    expect(result).toEqual({ threads: 3, ...results });
    expect(complaints).toEqual([]);
    expect(files.filter((file) => file.endsWith('.wasm'))).toEqual([]);
  });

  test('compute on one thread in a page that is not', async () => {
    const { result, complaints } = await use(`alone/${bundler}/embedded`, { threads: 3 });
    expect(result).toEqual({ threads: 1, ...results });
    expect(complaints).toEqual([]);
  });

  test('compute with plain SIMD where it is asked for', async () => {
    const { result } = await use(`isolated/${bundler}/embedded`, { threads: 2, simd: 'plain' });
    expect(result).toEqual({ threads: 2, ...results, simd: 'plain' });
  });

  test.each([1, 3])('compute with modules that are served, %i threads', async (threads) => {
    const { result, files } = await use(`isolated/${bundler}/served-by-${bundler}`, { threads });
    expect(result).toEqual({ threads, ...results });
    const modules = files.filter((file) => file.endsWith('.wasm'));
    // A bundler may keep one of two equal files.
    expect(modules.filter((file) => /^(decoding-relaxed|prefill(-relaxed)?)[-.]/.test(file))).toHaveLength(2);
    // vite puts the module of the linear algebra, which is small, into the JavaScript.
    expect(modules).toHaveLength(bundler === 'vite' ? 2 : 3);
  });

  test('say what a page has to let them do', async () => {
    const path = `strict/${bundler}/embedded`;
    expect((await use(path)).result).toEqual({ threads: 1, ...results });
    expect((await use(path, { threads: 2 })).result).toMatch(
      /^LBS_THREAD: a worker of the kernels did not start: .* worker-src blob:/,
    );
  });
});

test('a page loads the modules of its instructions, where the bundler splits code', async () => {
  const { files } = await use('isolated/vite/embedded');
  expect(files.filter((file) => /^(decoding|prefill)-relaxed-wasm/.test(file))).toHaveLength(2);
  expect(files.filter((file) => /^(decoding|prefill)-wasm/.test(file))).toEqual([]);
});
