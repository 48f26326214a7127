import { UnsupportedError } from '@lbs/format';

/** Instructions that the decoder's kernels are built from. Results are the same bits. */
export type SimdInstructions = 'plain' | 'relaxed';

/**
 * A module with one function of type () -> (): (drop (i16x8.relaxed_dot_i8x16_i7x16_s (i8x16.splat (i32.const 0)) (i8x16.splat (i32.const
 * 0)))).
 */
const relaxedProbe = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00],
  ...[
    0x0a, 0x10, 0x01, 0x0e, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0xfd, 0x92, 0x02, 0x1a,
    0x0b,
  ],
);

/** Whether this engine has relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(relaxedProbe);
}

/** Relaxed instructions where this engine has them, or those that are asked for. Throws UnsupportedError where it lacks them. */
export function chooseSimd(asked?: SimdInstructions): SimdInstructions {
  const simd = asked ?? (hasRelaxedSimd() ? 'relaxed' : 'plain');
  if (simd === 'relaxed' && !hasRelaxedSimd()) {
    throw new UnsupportedError('this engine has no relaxed SIMD', {
      mend: 'Leave the option simd out, or run Node 20 with --experimental-wasm-relaxed-simd; Node 22 and later need no flag.',
    });
  }
  return simd;
}
