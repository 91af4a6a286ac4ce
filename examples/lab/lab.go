// Package lab is the one definition that the camera's program and the viewer's share. It imports package api alone.
package lab

import "peermesh/api"

// Camera and Viewer are the two sides: names for the compiler and the docs.
type (
	Camera struct{}
	Viewer struct{}
)

// API is written from the camera's side; API.Invert() is the viewer's.
var API = api.Define[Camera, Viewer]("lab.camera", "1.2.0", "A camera on the bench.")

var (
	// Snap takes one picture.
	Snap = api.IncomingCall[SnapParams, Image](API, "snap", "Take one picture.",
		api.Example(SnapParams{ExposureMS: 20}, Image{Width: 640, Height: 480}))
	// Gain sets the analogue gain of every camera that hears it.
	Gain = api.Incoming[GainParams](API, "gain", "Set the analogue gain.")
	// Frame says that a new frame is ready.
	Frame = api.Outgoing[FrameInfo](API, "frame", "A new frame is ready.")
)

// SnapParams say how to take a picture.
type SnapParams struct {
	ExposureMS int `json:"exposure_ms" jsonschema:"exposure time in milliseconds" minimum:"0" maximum:"1000" default:"10"`
}

// Image is a picture.
type Image struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	PNG    []byte `json:"png,omitempty"`
}

// GainParams say how much to amplify.
type GainParams struct {
	DB float64 `json:"db" jsonschema:"gain in decibels"`
}

// FrameInfo tells of a new frame.
type FrameInfo struct {
	Seq  int     `json:"seq"`
	Mean float64 `json:"mean" jsonschema:"mean brightness, 0 to 1"`
}
