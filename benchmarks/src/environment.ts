import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';

/** What a result depends on besides the code's input. */
export interface Environment {
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly system: string;
  };
  readonly versions: { readonly node: string; readonly v8: string; readonly lbs: string };
  /** Commit of the working tree, with `-dirty` where it has changes; null outside of a repository. */
  readonly commit: string | null;
}

export function describeEnvironment(): Environment {
  const processors = cpus();
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return {
    machine: {
      processor: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      memoryBytes: totalmem(),
      system: `${platform()} ${arch()}`,
    },
    versions: { node: process.versions.node, v8: process.versions.v8, lbs: JSON.parse(manifest).version },
    commit: readCommit(),
  };
}

function readCommit(): string | null {
  try {
    const cwd = new URL('..', import.meta.url);
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
