using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Vmbus.Wire;

/// <summary>Messages to the guest. Guests drop what is shorter than they expect, so each has its full size.</summary>
internal static class HostMessages
{
    public const uint Success = 0;
    public const uint InvalidParameter = 0xC000000D; // NTSTATUS, as all results on the bus
    public const uint InsufficientResources = 0xC000009A;

    public static byte[] OfferChannel(Guid interfaceType, Guid instanceId, ushort subChannelIndex, uint relid, uint connectionId)
    {
        const ushort DedicatedInterrupt = 1; // the guest need not look into the shared interrupt page
        var message = Message(ChannelMessageType.OfferChannel, 196);
        interfaceType.TryWriteBytes(message.AsSpan(8));
        instanceId.TryWriteBytes(message.AsSpan(24));
        WriteUInt16LittleEndian(message.AsSpan(180), subChannelIndex);
        WriteUInt32LittleEndian(message.AsSpan(184), relid);
        WriteUInt16LittleEndian(message.AsSpan(190), DedicatedInterrupt);
        WriteUInt32LittleEndian(message.AsSpan(192), connectionId);
        return message;
    }

    public static byte[] RescindChannelOffer(uint relid) => Message(ChannelMessageType.RescindChannelOffer, 12, relid);

    public static byte[] AllOffersDelivered() => Message(ChannelMessageType.AllOffersDelivered, 8);

    public static byte[] OpenChannelResult(uint relid, uint openId, uint status) => Message(ChannelMessageType.OpenChannelResult, 20, relid, openId, status);

    public static byte[] GpadlCreated(uint relid, uint gpadl, uint status) => Message(ChannelMessageType.GpadlCreated, 20, relid, gpadl, status);

    public static byte[] GpadlTorndown(uint gpadl) => Message(ChannelMessageType.GpadlTorndown, 12, gpadl);

    public static byte[] VersionResponse(bool isSupported, uint messageConnectionId)
    {
        var message = Message(ChannelMessageType.VersionResponse, 16, isSupported ? 1u : 0);
        WriteUInt32LittleEndian(message.AsSpan(12), messageConnectionId);
        return message;
    }

    public static byte[] UnloadResponse() => Message(ChannelMessageType.UnloadResponse, 8);

    public static byte[] ModifyChannelResponse(uint relid, uint status) => Message(ChannelMessageType.ModifyChannelResponse, 16, relid, status);

    private static byte[] Message(ChannelMessageType type, int size, params ReadOnlySpan<uint> fields)
    {
        var message = new byte[size];
        WriteUInt32LittleEndian(message, (uint)type);
        for (var index = 0; index < fields.Length; index++)
        {
            WriteUInt32LittleEndian(message.AsSpan(8 + (4 * index)), fields[index]);
        }

        return message;
    }
}
