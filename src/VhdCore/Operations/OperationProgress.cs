namespace VhdCore.Operations;

/// <summary>How far an operation is.</summary>
/// <param name="Phase">What it is doing, in one word: <c>convert</c>, <c>verify</c>, <c>compare</c>, <c>hash</c>.</param>
/// <param name="BytesDone">Bytes of disk dealt with in this phase, known zeros included.</param>
/// <param name="BytesTotal">Bytes of disk that this phase covers; 0 as long as nobody knows.</param>
public readonly record struct OperationProgress(string Phase, long BytesDone, long BytesTotal);
