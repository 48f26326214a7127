import { LbsError } from '@lbs/format';

/** The WebAssembly memory cannot grow by what was asked for: its limit is 4 GiB, the machine's may be lower. */
export class MemoryLimitError extends LbsError {
  readonly code = 'LBS_MEMORY_LIMIT';
}
