using System.Runtime.CompilerServices;

namespace VhdService.HyperV;

/// <summary>A message that waits for its slot.</summary>
internal struct SynicMessage
{
    public uint Type;
    public byte PayloadSize;
    public MessagePayload Payload;

    /// <summary>The bytes of a message.</summary>
    [InlineArray(HypercallDispatcher.MaxPayload)]
    internal struct MessagePayload
    {
        private byte _first;
    }
}
