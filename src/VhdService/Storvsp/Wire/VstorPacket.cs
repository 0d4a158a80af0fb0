using VhdService.Scsi;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Storvsp.Wire;

/// <summary>A packet of the storage protocol, 64 bytes: operation, flags, status, and what belongs to the operation. Read from a private copy, and turned into its answer in place.</summary>
internal readonly ref struct VstorPacket(Span<byte> bytes)
{
    public const int Size = 64; // bytes

    /// <summary>Bytes of sense that an answer has room for.</summary>
    public const int MaxSense = 20;

    private const int PayloadOffset = 12;
    private const int CdbOffset = 28;
    private const int MaxCdb = 16; // bytes

    private readonly Span<byte> _bytes = bytes[..Size];

    public VstorOperation Operation => (VstorOperation)ReadUInt32LittleEndian(_bytes);

    /// <summary>QueryProtocolVersion: major in the upper byte.</summary>
    public ushort ProtocolVersion => ReadUInt16LittleEndian(_bytes[PayloadOffset..]);

    /// <summary>CreateSubChannels.</summary>
    public ushort SubChannelCount => ReadUInt16LittleEndian(_bytes[PayloadOffset..]);

    public byte Path => _bytes[17];

    public byte Target => _bytes[18];

    public byte Lun => _bytes[19];

    public int CdbLength => _bytes[20];

    /// <summary>Bytes of sense that the guest wants.</summary>
    public int SenseLength => _bytes[21];

    /// <summary>False when the length of the CDB is none.</summary>
    public bool HasCdb => CdbLength is > 0 and <= MaxCdb;

    public ReadOnlySpan<byte> Cdb => _bytes.Slice(CdbOffset, CdbLength);

    /// <summary>Which way data goes, as the guest says in words of its own: 0 to the disk, 1 from it, else none.</summary>
    public ScsiDirection Direction => _bytes[22] switch
    {
        0 => ScsiDirection.ToUnit,
        1 => ScsiDirection.FromUnit,
        _ => ScsiDirection.None,
    };

    /// <summary>Bytes that the guest wants to have moved.</summary>
    public uint DataTransferLength => ReadUInt32LittleEndian(_bytes[24..]);

    /// <summary>Makes it the answer to itself.</summary>
    public void Answer(VstorStatus status)
    {
        SetOperation(VstorOperation.CompleteIo);
        WriteUInt32LittleEndian(_bytes[4..], 0); // flags
        WriteUInt32LittleEndian(_bytes[8..], (uint)status);
    }

    public void SetOperation(VstorOperation operation) => WriteUInt32LittleEndian(_bytes, (uint)operation);

    /// <summary>What the controller can do, for QueryProperties.</summary>
    public void AnswerProperties(int maxSubChannels, int maxTransferBytes)
    {
        const uint SupportsMultiChannel = 1;
        Answer(VstorStatus.Success);
        _bytes[PayloadOffset..].Clear();
        WriteUInt16LittleEndian(_bytes[16..], (ushort)maxSubChannels);
        WriteUInt32LittleEndian(_bytes[20..], maxSubChannels > 0 ? SupportsMultiChannel : 0);
        WriteUInt32LittleEndian(_bytes[24..], (uint)maxTransferBytes);
    }

    /// <summary>A request that no unit has seen.</summary>
    public void AnswerRefusal(SrbStatus status, VstorStatus vstorStatus)
    {
        Answer(vstorStatus);
        SetSrb(status, ScsiStatus.Good, 0, 0);
    }

    /// <summary>What a unit, or the absence of one, answered.</summary>
    public void AnswerResult(in ScsiResult result)
    {
        switch (result.Outcome)
        {
            case ScsiOutcome.NoSuchUnit:
                AnswerRefusal(SrbStatus.InvalidLun, VstorStatus.NoSuchDevice);
                return;

            case ScsiOutcome.DataOverrun:
                Answer(VstorStatus.IoDeviceError);
                SetSrb(SrbStatus.DataOverrun, ScsiStatus.Good, 0, result.Transferred);
                return;
        }

        if (result.Status == ScsiStatus.Good)
        {
            Answer(VstorStatus.Success);
            SetSrb(SrbStatus.Success, ScsiStatus.Good, 0, result.Transferred);
            return;
        }

        const byte IllegalRequest = 5;
        Span<byte> sense = stackalloc byte[ScsiSense.FixedSize];
        result.Sense.WriteFixed(sense);
        var length = Math.Min(Math.Min(SenseLength, MaxSense), sense.Length);
        var status = result.Sense.Key == IllegalRequest ? SrbStatus.InvalidRequest : SrbStatus.Error;
        Answer(VstorStatus.IoDeviceError);
        SetSrb(length > 0 ? status | SrbStatus.SenseIsValid : status, result.Status, length, result.Transferred);
        sense[..length].CopyTo(_bytes[CdbOffset..]);
    }

    private void SetSrb(SrbStatus status, ScsiStatus scsiStatus, int senseLength, long transferred)
    {
        _bytes[14] = (byte)status;
        _bytes[15] = (byte)scsiStatus;
        _bytes[21] = (byte)senseLength;
        WriteUInt32LittleEndian(_bytes[24..], (uint)transferred);
        _bytes.Slice(CdbOffset, MaxSense).Clear();
    }
}
