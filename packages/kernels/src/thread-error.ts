import { LbsError } from '@lbs/format';

/** A thread of the kernels could not be started, failed in a call, ended, or was closed before. */
export class ThreadError extends LbsError {
  readonly code = 'LBS_THREAD';
}
