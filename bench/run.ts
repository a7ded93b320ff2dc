/**
 * `run.js [OPTIONS]` compares proxies and writes docs/benchmarks.md; `run.js failover|reload|storm|upgrade [OPTIONS]` runs
 * that module.
 */
const name = process.argv[2];
if (name === undefined || name.startsWith('-')) {
  await import('./comparison.ts');
} else {
  if (!/^[a-z-]+$/.test(name))
    throw new Error(`${name} is no benchmark; there are failover, reload, storm and upgrade`);
  process.argv.splice(2, 1);
  await import(`./${name}/run.js`);
}
