/**
 * The results file of lm-eval (lm_eval/result_schema.py), as far as this harness fills it in. Metric keys are
 * "metric,filter"; the filter is always "none".
 */
export interface LmEvalResults {
  readonly results: Readonly<Record<string, TaskMetrics>>;
  readonly group_subtasks: Readonly<Record<string, readonly string[]>>;
  readonly configs: Readonly<Record<string, TaskConfig>>;
  readonly versions: Readonly<Record<string, number>>;
  readonly 'n-shot': Readonly<Record<string, number>>;
  readonly higher_is_better: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
  readonly 'n-samples': Readonly<Record<string, { readonly original: number; readonly effective: number }>>;
  readonly config: {
    readonly model: string;
    readonly model_args: Readonly<Record<string, unknown>>;
    readonly limit: number | null;
    readonly bootstrap_iters: 0;
  };
  /** When the evaluation began, seconds since 1970. */
  readonly date: number;
  /** SHA-256 of each task's items, where the platform can compute it. */
  readonly task_hashes: Readonly<Record<string, string>>;
  readonly max_length: number;
  readonly model_name: string;
  readonly model_name_sanitized: string;
  /** Seconds, as text. */
  readonly total_evaluation_time_seconds: string;
}

/**
 * `name`, `alias`, `sample_len`, and per metric "name,none" and "name_stderr,none" ("N/A" for a single item).
 */
export type TaskMetrics = Readonly<Record<string, number | string>>;

/** A task's settings in the spelling of lm-eval's task files. */
export interface TaskConfig {
  readonly task: string;
  readonly output_type: 'multiple_choice' | 'generate_until';
  readonly description: string;
  readonly num_fewshot: 0;
  readonly metric_list: readonly {
    readonly metric: string;
    readonly aggregation: 'mean';
    readonly higher_is_better: true;
  }[];
  readonly target_delimiter?: string;
  readonly generation_kwargs?: { readonly until: readonly string[]; readonly max_gen_toks: number };
  readonly metadata: { readonly version: number };
}
