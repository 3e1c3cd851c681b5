// Serves the supergraph in the file at the first argument; prints its address. Who asks is handed on to the subgraphs.
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { getOperationAST, parse, validate } from 'graphql';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const HANDED_ON = ['authorization', 'x-workspace'];

class Subgraph extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    for (const [name, value] of Object.entries(context)) request.http.headers.set(name, value);
  }
}

async function answer({ query, variables = {}, operationName }, headers) {
  const document = parse(query);
  const errors = validate(schema, document);
  if (errors.length > 0) return { errors };
  return executor({
    request: { query, variables, operationName },
    document,
    operation: getOperationAST(document, operationName),
    operationName,
    queryHash: createHash('sha256').update(query).digest('hex'),
    context: Object.fromEntries(HANDED_ON.filter((name) => headers[name]).map((name) => [name, headers[name]])),
    metrics: {},
  });
}

const gateway = new ApolloGateway({
  supergraphSdl: readFileSync(process.argv[2], 'utf8'),
  buildService: ({ url }) => new Subgraph({ url }),
});
const { schema, executor } = await gateway.load();
const server = createServer(async (request, response) => {
  const body = await answer(await json(request), request.headers).catch((error) => ({ errors: [{ message: error.message }] }));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
