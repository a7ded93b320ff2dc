// Runs command lines of `breakwater` that come by IPC, one after the other, and answers what each said and its exit code. Its only
// argument is where the built program's `runCli` is.
const program = import(process.argv[2]);
let turn = Promise.resolve();

process.on('message', (order) => {
  turn = turn.then(async () => process.send(await runOne(order)));
});
process.on('disconnect', () => process.exit());

async function runOne({ id, args, env }) {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    process[name].write = (text) => {
      said[name] += text;
      return true;
    };
  }
  const before = { ...process.env };
  Object.assign(process.env, env);
  const { runCli } = await program;
  const code = await runCli([process.execPath, 'breakwater', ...args]);
  process.exitCode = 0;
  for (const name of Object.keys(env)) delete process.env[name];
  Object.assign(process.env, before);
  return { id, code, ...said };
}
