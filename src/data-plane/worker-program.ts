/** What a Worker runs. */
export interface WorkerProgram {
  readonly script: URL;
  /** How much garbage may lie in memory before V8 looks for it; what is alive then is copied. */
  readonly youngGenerationMb: number;
}
