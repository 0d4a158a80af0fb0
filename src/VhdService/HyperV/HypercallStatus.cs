namespace VhdService.HyperV;

/// <summary>How a hypercall ended (TLFS, "Hypercall Status Codes").</summary>
internal enum HypercallStatus : ushort
{
    Success = 0,
    InvalidHypercallCode = 2,
    InvalidHypercallInput = 3,
    InvalidAlignment = 4,
    InvalidParameter = 5,
    InvalidConnectionId = 0x12,
    InsufficientBuffers = 0x13,
}
