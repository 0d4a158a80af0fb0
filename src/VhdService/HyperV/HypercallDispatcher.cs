using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.HyperV;

/// <summary>Executes hypercalls: HvPostMessage and HvSignalEvent. Nothing else is advertised, and nothing else is answered.</summary>
internal sealed class HypercallDispatcher(IGuestMemory memory, Func<IHypercallPorts?> ports)
{
    /// <summary>Bytes of payload that a message can carry (TLFS, HV_MESSAGE_PAYLOAD_BYTE_COUNT).</summary>
    public const int MaxPayload = 240;

    private const ushort PostMessageCode = 0x5C;
    private const ushort SignalEventCode = 0x5D;
    private const int PostMessageHeader = 16; // bytes
    private const int SignalEventInput = 8; // bytes

    /// <summary>Executes one call.</summary>
    /// <param name="control">RCX.</param>
    /// <param name="input">RDX: where the input lies, or the input itself.</param>
    /// <returns>What goes into RAX.</returns>
    public ulong Execute(ulong control, ulong input)
    {
        var call = new HypercallInput(control);
        return (ulong)(call.CallCode switch
        {
            PostMessageCode => PostMessage(call, input),
            SignalEventCode => SignalEvent(call, input),
            _ => HypercallStatus.InvalidHypercallCode,
        });
    }

    private HypercallStatus PostMessage(HypercallInput call, ulong input)
    {
        if (!call.IsSimple || call.IsFast)
        {
            return HypercallStatus.InvalidHypercallInput;
        }

        if (!IsAligned(input, PostMessageHeader + MaxPayload))
        {
            return HypercallStatus.InvalidAlignment;
        }

        // Read once, then judged.
        Span<byte> message = stackalloc byte[PostMessageHeader + MaxPayload];
        if (!memory.TryRead(input, message))
        {
            return HypercallStatus.InvalidParameter;
        }

        var connectionId = ReadUInt32LittleEndian(message);
        var messageType = ReadUInt32LittleEndian(message[8..]);
        var payloadSize = ReadUInt32LittleEndian(message[12..]);
        if (payloadSize > MaxPayload)
        {
            return HypercallStatus.InvalidParameter;
        }

        return ports()?.PostMessage(connectionId, messageType, message.Slice(PostMessageHeader, (int)payloadSize)) ?? HypercallStatus.InvalidConnectionId;
    }

    private HypercallStatus SignalEvent(HypercallInput call, ulong input)
    {
        if (!call.IsSimple)
        {
            return HypercallStatus.InvalidHypercallInput;
        }

        if (!call.IsFast)
        {
            if (!IsAligned(input, SignalEventInput))
            {
                return HypercallStatus.InvalidAlignment;
            }

            Span<byte> bytes = stackalloc byte[SignalEventInput];
            if (!memory.TryRead(input, bytes))
            {
                return HypercallStatus.InvalidParameter;
            }

            input = ReadUInt64LittleEndian(bytes);
        }

        var connectionId = (uint)input;
        var flagNumber = (ushort)(input >> 32);
        if (input >> 48 != 0 || flagNumber >= SynicProcessor.FlagsPerSint)
        {
            return HypercallStatus.InvalidParameter;
        }

        return ports()?.SignalEvent(connectionId, flagNumber) ?? HypercallStatus.InvalidConnectionId;
    }

    /// <summary>Whether an input of <paramref name="size"/> bytes may lie at <paramref name="address"/>: on 8 bytes, and inside a page.</summary>
    private static bool IsAligned(ulong address, int size) =>
        address % 8 == 0 && (address % GuestMemoryExtensions.PageSize) + (ulong)size <= GuestMemoryExtensions.PageSize;
}
