/** Fleets of AWS, as moto's server answers: Auto Scaling groups and ECS services looked at, resized, rolled. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand
} from '@aws-sdk/client-auto-scaling'
import {
  CreateClusterCommand,
  CreateServiceCommand,
  ECSClient,
  RegisterTaskDefinitionCommand
} from '@aws-sdk/client-ecs'

import { PipelineError } from '../../src/core/index.ts'
import { AutoScalingGroupFleet, EcsServiceFleet } from '../../src/ops/index.ts'
import { MOTO_CREDENTIALS, MOTO_ENVIRONMENT, motoSkip, startMoto } from '../support/moto.ts'

Object.assign(process.env, MOTO_ENVIRONMENT)

test('fleets of AWS', { skip: motoSkip }, async t => {
  const { endpoint, region } = await startMoto(t)
  const settings = { endpoint, region, credentials: MOTO_CREDENTIALS }

  await t.test('an Auto Scaling group: size and limits, another capacity, one instance replaced', async () => {
    const client = new AutoScalingClient(settings)
    // An image of moto's own list.
    const launch = { LaunchConfigurationName: 'l', ImageId: 'ami-12c6146b', InstanceType: 't3.micro' }
    await client.send(new CreateLaunchConfigurationCommand(launch))
    const group = {
      AutoScalingGroupName: 'consumers',
      LaunchConfigurationName: 'l',
      MinSize: 1,
      MaxSize: 4,
      DesiredCapacity: 2,
      AvailabilityZones: [`${region}a`]
    }
    await client.send(new CreateAutoScalingGroupCommand(group))
    client.destroy()
    const fleet = new AutoScalingGroupFleet({ group: 'consumers', region, endpoint })
    assert.equal(fleet.name, 'asg/consumers')
    assert.deepEqual(await fleet.size(), { wanted: 2, running: 2, min: 1, max: 4 })
    await fleet.resize(3)
    assert.deepEqual(await fleet.size(), { wanted: 3, running: 3, min: 1, max: 4 })
    await assert.rejects(
      fleet.resize(5),
      error =>
        PipelineError.is(error, 'ERR_OPS_REFUSED') && /5 is not between its own limits, 1 and 4/.test(error.message)
    )
    const before = await fleet.instances()
    assert.ok(before.every(({ state, health }) => state === 'running' && health === 'InService, Healthy'))
    const [first] = before
    await fleet.restart(first?.id ?? '')
    const after = await fleet.instances()
    assert.equal(after.length, 3, 'another takes its place')
    assert.ok(!after.some(({ id, state }) => id === first?.id && state === 'running'))
    await fleet.close()
    const missing = new AutoScalingGroupFleet({ group: 'nobody', region, endpoint })
    await assert.rejects(missing.size(), error => PipelineError.is(error, 'ERR_OPS_NOT_FOUND'))
    await missing.close()
  })

  await t.test('an ECS service: desired count, its tasks, and what is not there', async () => {
    const client = new ECSClient(settings)
    await client.send(new CreateClusterCommand({ clusterName: 'lanes' }))
    const containerDefinitions = [{ name: 'consumer', image: 'consumer:1', memory: 256 }]
    await client.send(new RegisterTaskDefinitionCommand({ family: 'consumer', containerDefinitions }))
    const service = { cluster: 'lanes', serviceName: 'consumer', taskDefinition: 'consumer', desiredCount: 2 }
    await client.send(new CreateServiceCommand(service))
    client.destroy()
    const fleet = new EcsServiceFleet({ cluster: 'lanes', service: 'consumer', region, endpoint })
    assert.equal((await fleet.size()).wanted, 2)
    await fleet.resize(5)
    const { wanted, min, max } = await fleet.size()
    assert.deepEqual({ wanted, min, max }, { wanted: 5, min: undefined, max: undefined })
    assert.ok(Array.isArray(await fleet.instances()))
    await fleet.close()
    const missing = new EcsServiceFleet({ cluster: 'lanes', service: 'nobody', region, endpoint })
    await assert.rejects(missing.size(), error => PipelineError.is(error, 'ERR_OPS_NOT_FOUND'))
    await missing.close()
  })

  await t.test('nobody who answers is told apart from a refusal', async () => {
    const fleet = new AutoScalingGroupFleet({ group: 'x', region, endpoint: 'http://127.0.0.1:1' })
    await assert.rejects(fleet.size(), error => PipelineError.is(error, 'ERR_OPS_FLEET_UNREACHABLE'))
    await fleet.close()
  })
})
