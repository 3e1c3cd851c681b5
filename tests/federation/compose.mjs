// Composes subgraphs, each given as NAME URL FILE, and prints the supergraph; or prints what is wrong and fails.
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';
import { readFileSync } from 'node:fs';

const given = process.argv.slice(2);
const subgraphs = [];
for (let at = 0; at < given.length; at += 3) {
  const [name, url, file] = given.slice(at, at + 3);
  subgraphs.push({ name, url, typeDefs: parse(readFileSync(file, 'utf8')) });
}

const { errors, supergraphSdl } = composeServices(subgraphs);
if (errors) {
  console.error(errors.map(({ message }) => message).join('\n'));
  process.exitCode = 1;
} else {
  console.log(supergraphSdl);
}
