// Package peertest has what programs that use peers are tested with: meshes in memory, faults, and recorders.
//
// A Mesh is a network in memory with discovery of its own and a fresh key. Peers of it are real peers, signing and all;
// only the wires are made of channels, so that nothing depends on the machine, and everything works in a
// testing/synctest bubble, where time passes at once:
//
//	func TestAlarm(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			mesh := peertest.New(t)
//			sensor, siren := mesh.Peer("sensor"), mesh.Peer("siren")
//			port := api.Bind(siren, alarm.API.Invert())
//			mesh.Join(sensor, siren)
//			…
//		})
//	}
//
// The wires can be delayed, cut, stalled, and made to lose whatever is sent, for one peer or between two: see Network.
// A Recorder keeps what a peer sent and received.
package peertest
