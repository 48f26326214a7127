import type { ModelDirectory } from './model-directory.js';
import { findUrlSource, type UrlSourceOptions } from './url-source.js';

/**
 * The files below an address of an HTTP server, such as `https://example.org/models/mine/`. A file that the server
 * does not have (404) is not there.
 */
export function urlDirectory(
  url: string | URL,
  options: Omit<UrlSourceOptions, 'name' | 'signal'> = {},
): ModelDirectory {
  const base = new URL(url);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return {
    name: `${base.origin}${base.pathname}`.replace(/\/$/, ''),
    async open(fileName, openOptions) {
      const file = new URL(encodeURIComponent(fileName), base);
      file.search = base.search;
      return findUrlSource(file, { ...options, ...openOptions });
    },
  };
}
