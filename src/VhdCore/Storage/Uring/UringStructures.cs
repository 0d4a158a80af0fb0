using System.Runtime.InteropServices;

namespace VhdCore.Storage.Uring;

/// <summary>What the kernel shares with a ring's owner, from <c>include/uapi/linux/io_uring.h</c>.</summary>
internal static class UringConstants
{
    public const uint SetupCqSize = 1 << 3;
    public const uint SetupClamp = 1 << 4;
    public const uint SetupSubmitAll = 1 << 7; // Linux 5.18
    public const uint SetupCoopTaskRun = 1 << 8; // 5.19
    public const uint SetupSingleIssuer = 1 << 12; // 6.0
    public const uint SetupDeferTaskRun = 1 << 13; // 6.1
    public const uint SetupNoSqArray = 1 << 16; // 6.6

    public const uint FeatureSingleMmap = 1 << 0;
    public const uint FeatureNoDrop = 1 << 1;
    public const uint FeatureSubmitStable = 1 << 2;

    public const uint EnterGetEvents = 1 << 0;

    public const uint RegisterProbe = 8;

    public const byte OperationNop = 0;
    public const byte OperationReadV = 1;
    public const byte OperationWriteV = 2;
    public const byte OperationAsyncCancel = 14;
    public const byte OperationRead = 22;
    public const byte OperationWrite = 23;

    /// <summary>Handed to a kernel thread at once, without an attempt to do it on the spot.</summary>
    public const byte SqeAsync = 1 << 4;

    public const long OffsetSqRing = 0;
    public const long OffsetCqRing = 0x800_0000;
    public const long OffsetSqes = 0x1000_0000;
}

/// <summary><c>struct io_uring_params</c>.</summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
internal struct UringParameters
{
    [FieldOffset(0)]
    public uint SqEntries;

    [FieldOffset(4)]
    public uint CqEntries;

    [FieldOffset(8)]
    public uint Flags;

    [FieldOffset(20)]
    public uint Features;

    [FieldOffset(40)]
    public UringQueueOffsets Sq;

    [FieldOffset(80)]
    public UringQueueOffsets Cq;
}

/// <summary><c>struct io_sqring_offsets</c> and <c>struct io_cqring_offsets</c>, which differ in what the last but two fields mean.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct UringQueueOffsets
{
    [FieldOffset(0)]
    public uint Head;

    [FieldOffset(4)]
    public uint Tail;

    [FieldOffset(8)]
    public uint RingMask;

    [FieldOffset(12)]
    public uint RingEntries;

    /// <summary>Of submissions; completions have <c>overflow</c> here.</summary>
    [FieldOffset(16)]
    public uint Flags;

    /// <summary>Of completions: where the entries lie. Submissions have <c>dropped</c> here.</summary>
    [FieldOffset(20)]
    public uint Cqes;

    /// <summary>Of submissions: where the indices of the entries lie.</summary>
    [FieldOffset(24)]
    public uint Array;
}

/// <summary><c>struct io_uring_sqe</c>: one request to the kernel.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct UringSubmission
{
    [FieldOffset(0)]
    public byte Operation;

    [FieldOffset(1)]
    public byte Flags;

    [FieldOffset(4)]
    public int Descriptor;

    [FieldOffset(8)]
    public long Offset;

    [FieldOffset(16)]
    public nint Address;

    /// <summary>Bytes, or runs in a list.</summary>
    [FieldOffset(24)]
    public uint Length;

    [FieldOffset(28)]
    public int ReadWriteFlags;

    [FieldOffset(32)]
    public ulong UserData;
}

/// <summary><c>struct io_uring_cqe</c>: how one request ended.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct UringCompletion
{
    [FieldOffset(0)]
    public ulong UserData;

    /// <summary>Bytes moved; or errno, negated.</summary>
    [FieldOffset(8)]
    public int Result;
}

/// <summary><c>struct io_uring_probe</c> with room for every operation that is asked about here.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16 + (UringProbe.MaxOperations * 8))]
internal unsafe struct UringProbe
{
    public const int MaxOperations = 256;

    private const ushort IsSupported = 1;

    [FieldOffset(16)]
    private fixed ushort _operations[MaxOperations * 4]; // eight bytes each, of which the flags are the third and fourth

    public readonly bool Supports(byte operation) => (_operations[(operation * 4) + 1] & IsSupported) != 0;
}
