// A session of the npm client `openwhisk`; prints what it saw as JSON. Environment: OW_API_HOST, OW_AUTH, ACTION_ZIP.
const fs = require('fs')
const openwhisk = require(process.env.OPENWHISK_MODULE)
const ow = openwhisk({ apihost: process.env.OW_API_HOST, api_key: process.env.OW_AUTH })
const zip = fs.readFileSync(process.env.ACTION_ZIP)
const refused = promise => promise.then(value => ({ value }), error => ({ statusCode: error.statusCode, message: error.message, error: error.error }))

async function main () {
  const seen = {}
  seen.none = await ow.actions.list()
  seen.created = await ow.actions.create({ name: 'hello', action: zip, kind: 'python:default', params: { greeting: 'Hello' }, limits: { memory: 256, timeout: 5000 } })
  seen.again = await refused(ow.actions.create({ name: 'hello', action: zip, kind: 'python:default' }))
  seen.updated = await ow.actions.update({ name: 'hello', action: zip, kind: 'python:default', params: { greeting: 'Hello' } })
  seen.source = await ow.actions.update({ name: 'source', action: 'def main(args):\n    return {"sum": args["a"] + args["b"]}\n', kind: 'python:3.11' })
  seen.got = await ow.actions.get('hello')
  seen.listed = await ow.actions.list({ limit: 1, skip: 1 })
  seen.blocking = await ow.actions.invoke({ name: 'hello', blocking: true, params: { name: 'Ada' } })
  seen.result = await ow.actions.invoke({ name: 'source', blocking: true, result: true, params: { a: 1, b: 2 } })
  seen.failed = await refused(ow.actions.invoke({ name: 'hello', blocking: true, params: { fail: 'no data' } }))
  seen.slow = await ow.actions.invoke({ name: 'hello', blocking: true, params: { sleep: 1.2 } })
  seen.started = await ow.actions.invoke({ name: 'hello', params: { name: 'Grace' } })
  const id = seen.started.activationId
  for (let tries = 0; tries < 200; tries++) {
    seen.activation = await refused(ow.activations.get(id))
    if (!seen.activation.statusCode) break
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  seen.activationResult = await ow.activations.result(id)
  seen.logs = await ow.activations.logs(id)
  seen.activations = await ow.activations.list({ limit: 2, name: 'hello' })
  seen.counted = await ow.activations.list({ count: true })
  seen.missing = await refused(ow.actions.invoke({ name: 'nothing', blocking: true }))
  seen.namespaces = await ow.namespaces.list()
  seen.deleted = await ow.actions.delete('hello')
  seen.goneAgain = await refused(ow.actions.delete('hello'))
  const stranger = openwhisk({ apihost: process.env.OW_API_HOST, api_key: 'somebody:else' })
  seen.stranger = await refused(stranger.actions.list())
  seen.elsewhere = await refused(ow.actions.list({ namespace: 'whisk.system' }))
  console.log(JSON.stringify(seen))
}

main().catch(error => { console.error(error); process.exit(1) })
