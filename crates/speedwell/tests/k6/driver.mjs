// Runs an exported script for some users and turns: node driver.mjs SCRIPT USERS TURNS [NAME=VALUE...]
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import exec from 'k6/execution';
import { counted } from 'k6/metrics';

const [script, users, turns, ...variables] = process.argv.slice(2);
globalThis.__ENV = Object.fromEntries(variables.map((each) => each.split(/=(.*)/s)));
globalThis.open = (path, mode) => {
  const bytes = readFileSync(path);
  return mode === 'b' ? Uint8Array.from(bytes).buffer : bytes.toString();
};
const url = pathToFileURL(script).href;
// k6 gives each user an instance of the script.
const instances = [];
for (let user = 1; user <= Number(users); user += 1) instances.push(await import(url + '?user=' + user));
instances[0].setup();
for (let turn = 0; turn < Number(turns); turn += 1) {
  instances.forEach((instance, index) => {
    exec.vu.idInTest = index + 1;
    instance.default();
  });
}
console.log(JSON.stringify({ options: instances[0].options, counted }));
process.exit(0);
