/** How a quantized model came about; the `provenance` of a `quantization_config` (SPEC 9). */
export type Provenance = {
  /** Name and version of what wrote the model. */
  readonly tool: string;
  readonly tool_version: string;
  /** The recipe, as JSON. */
  readonly recipe: unknown;
  /** Of the random numbers that the recipe used; null where it used none. */
  readonly seed: number | null;
  /** SHA-256 of the calibration text, in hexadecimal; null where none was read. */
  readonly calibration_sha256: string | null;
  readonly source: {
    /** Name of the original model. */
    readonly name: string;
    /** SHA-256 of each of its weight files, in hexadecimal, by file name. */
    readonly sha256: Readonly<Record<string, string>>;
  };
};
