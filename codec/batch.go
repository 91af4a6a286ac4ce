package codec

// MaxBatch is how many messages a batch may hold. It bounds what one frame can set in motion.
const MaxBatch = 64

// IsBatch reports whether a frame is a batch, by its first character that is no white space alone.
func IsBatch(frame []byte) bool {
	i := space(frame, 0)
	return i < len(frame) && frame[i] == '['
}

// SplitBatch appends the elements of a batch to dst, as ranges of the frame, for Message.Parse; none of them is looked
// at but for its syntax. One that is no message is answered with its own error, in the array.
//
// The error is ErrSyntax when anything in the frame is no JSON, or it is no array, and an *InvalidError for an empty
// batch or one of more than MaxBatch elements: both are answered with one error with the id null (JSON-RPC 2.0, section
// 6). The slice is nil then.
func SplitBatch(dst [][]byte, frame []byte) ([][]byte, error) {
	if !IsBatch(frame) {
		return nil, ErrSyntax
	}
	i := space(frame, space(frame, 0)+1)
	if i < len(frame) && frame[i] == ']' {
		if space(frame, i+1) != len(frame) {
			return nil, ErrSyntax
		}
		return nil, &InvalidError{Reason: "the batch is empty"}
	}
	count := 0
	for {
		start := i
		if i = scanValue(frame, i, 1); i < 0 {
			return nil, ErrSyntax
		}
		if count++; count <= MaxBatch {
			dst = append(dst, frame[start:i:i])
		}
		i = space(frame, i)
		switch {
		case i >= len(frame):
			return nil, ErrSyntax
		case frame[i] == ',':
			i = space(frame, i+1)
		case frame[i] == ']':
			if space(frame, i+1) != len(frame) {
				return nil, ErrSyntax
			}
			if count > MaxBatch {
				return nil, &InvalidError{Reason: "the batch has more than 64 elements"}
			}
			return dst, nil
		default:
			return nil, ErrSyntax
		}
	}
}
